"""Other activations: ReLU for bounded ones, LeakyReLU for dead ones, none before the loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from torch import nn

from auditor.functions import REGRESSION_LOSSES
from auditor.layergraph import ActivationUse
from auditor.remedy import CannotMend, Case, Mended, together
from auditor.sourceedit import Edit
from auditor.sourcemap import place_of_definition
from auditor.target import Target

from ._activations import exchanged, final_activation
from ._layers import graph_of, listed, module_at
from .initialisation import mended_starts, starts_of

_SLOPE = 0.01


class Relu:
    """Puts ReLU in the place of hidden sigmoids, tanhs and softmaxes, with He initialisation."""

    name: ClassVar[str] = "relu"
    says: ClassVar[str] = "replaces hidden bounded activations by ReLU, with He initialisation"

    def mend(self, case: Case) -> Mended:
        """Return the target with ReLU in hidden layers.

        Raises:
            CannotMend: No hidden activation is bounded, or the weights are pretrained.
        """
        if "from_pretrained" in case.target.traits:
            raise CannotMend("the weights are pretrained for the activation that they have")
        graph = graph_of(case)
        old = [use for use in graph.activations
               if use.activation.family in ("bounded", "softmax") and use.hidden
               and not use.gates]
        if not old:
            raise CannotMend("no hidden activation is bounded")
        start = mended_starts(starts_of(case, graph, rectified=old))
        change = _exchange(old, nn.ReLU)
        kinds = listed(sorted({use.activation.name for use in old}))
        return Mended(
            lambda target: together(target, [start, Mended(change)]),
            says=f"Use ReLU in place of {kinds} in {listed([use.subject for use in old])}, "
                 "with He initialisation.",
            code=f"nn.ReLU()  # in place of {kinds}\n{start.code}",
            edits=_edits(case, old, "ReLU()") + start.edits if _all_modules(old) else ())


class LeakyRelu:
    """Puts LeakyReLU in the place of the ReLUs whose units are dead."""

    name: ClassVar[str] = "leaky-relu"
    says: ClassVar[str] = "replaces ReLU by LeakyReLU in the layers at fault"

    def mend(self, case: Case) -> Mended:
        """Return the target with LeakyReLU in the finding's layers.

        Raises:
            CannotMend: None of them is a rectifier.
        """
        named = set(case.finding.layers)
        old = [use for use in graph_of(case).activations
               if use.subject in named and use.activation.family == "rectifier"]
        if not old:
            raise CannotMend("none of these layers is a ReLU")
        return Mended(
            _exchange(old, lambda: nn.LeakyReLU(_SLOPE)),
            says=f"Use LeakyReLU in {listed([use.subject for use in old])}.",
            code=f"nn.LeakyReLU({_SLOPE})  # in place of ReLU",
            edits=_edits(case, old, f"LeakyReLU({_SLOPE})"))


class DropLastActivation:
    """Takes the activation off the output."""

    name: ClassVar[str] = "drop-last-activation"
    says: ClassVar[str] = "takes the activation off the model's output"

    def mend(self, case: Case) -> Mended:
        """Return the target without its last activation.

        Raises:
            CannotMend: No activation stands right before the loss.
        """
        subject, name, loss = final_activation(case)
        path, is_call, _ = subject.partition(":")
        forward = case.look(lambda bench, _: place_of_definition(
            getattr(type(module_at(bench.model, path)), "forward", None)))
        edit = Edit("drop-call", forward, name) if is_call else \
            Edit("replace-call", case.target.places.get(path), name, "Identity()")
        return Mended(
            lambda target: exchanged(target, {subject: nn.Identity}),
            keeps_loss=loss in REGRESSION_LOSSES,
            says=f"Take {name} off the output"
                 f"{f' ({path})' if path and not is_call else ''}.",
            edits=(edit,) if edit.place else ())


def _exchange(
    old: Sequence[ActivationUse], make: Callable[[], nn.Module],
) -> Callable[[Target], Target]:
    return lambda target: exchanged(target, {use.subject: make for use in old})


def _all_modules(uses: Sequence[ActivationUse]) -> bool:
    return all(":" not in use.subject and "#" not in use.subject for use in uses)


def _edits(case: Case, uses: Sequence[ActivationUse], code: str) -> tuple[Edit, ...]:
    """Return the edits of activations that are modules; calls in `forward` have no place."""
    if not _all_modules(uses):
        return ()
    places = dict.fromkeys(case.target.places.get(use.subject) for use in uses)
    return tuple(Edit("replace-call", place, "", code) for place in places if place)
