"""Other starting weights: by the fan-in and the activation that follows, biases at zero."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from auditor.judgement import in_code
from auditor.layergraph import ActivationUse, LayerGraph, LayerUse
from auditor.mending import with_model
from auditor.remedy import CannotMend, Case, Mended
from auditor.sourceedit import Edit
from auditor.target import Target

from ._layers import graph_of, listed, module_at, tuple_code

# A bias of this part of the size of those at fault is at fault as well.
_AS_LARGE = 0.5
_HE = 'nn.init.kaiming_normal_({}.weight, nonlinearity="relu")'
_BIAS = "if {0}.bias is not None:\n    nn.init.zeros_({0}.bias)"
_LECUN = 'nn.init.kaiming_normal_({}.weight, nonlinearity="linear")'
_XAVIER = "nn.init.xavier_normal_({}.weight)"
_RECURRENT = (
    "for name, p in {}.named_parameters():\n"
    '    if name.startswith("weight_hh"):\n'
    "        for gate in p.chunk(len(p) // p.shape[1]):\n"
    "            nn.init.orthogonal_(gate)"
)


@dataclass(frozen=True)
class Start:
    """How one layer starts.

    Attributes:
        path: Of the module.
        kind: "he", "lecun", "xavier" or "recurrent".
    """

    path: str
    kind: str


class Reinitialise:
    """Draws weights by He before rectifiers, LeCun before SELU, Xavier elsewhere; biases zero."""

    name: ClassVar[str] = "reinitialise"
    says: ClassVar[str] = "starts layers by He or Xavier, whatever activation follows, biases zero"

    def mend(self, case: Case) -> Mended:
        """Return the target with the finding's layers started anew.

        Raises:
            CannotMend: The weights are pretrained, or no layer has weights of its own.
        """
        only_fresh(case.target)
        return mended_starts(starts_of(case, graph_of(case)))


class ReinitialiseBefore:
    """Starts the layers anew that feed the activations at fault, biases at zero."""

    name: ClassVar[str] = "reinitialise-before"
    says: ClassVar[str] = "starts the layers before the activations at fault by He or Xavier"

    def mend(self, case: Case) -> Mended:
        """Return the target with the layers before the finding's activations started anew.

        Raises:
            CannotMend: The weights are pretrained, or no layer feeds these activations.
        """
        only_fresh(case.target)
        graph = graph_of(case)
        named = set(case.finding.layers)
        fed = [use for use in graph.layers
               if (call := use.activation_after) is not None and call.subject in named]
        return mended_starts(_starts(fed))


class ZeroBiases:
    """Starts the finding's biases at zero, and those of hidden layers that are as large.

    Behind a layer that is thrown off no signal is left to measure the next one's biases by.
    """

    name: ClassVar[str] = "zero-biases"
    says: ClassVar[str] = "starts biases at zero"

    def mend(self, case: Case) -> Mended:
        """Return the target with these biases at zero.

        Raises:
            CannotMend: The weights are pretrained, or the layers have no biases.
        """
        only_fresh(case.target)
        hidden = [use.name for use in graph_of(case).layers if use.activation_after is not None]
        sizes: dict[str, float] = case.look(lambda bench, _: {
            path: float(bias.detach().square().mean().sqrt())
            for path in dict.fromkeys((*case.finding.layers, *hidden))
            if isinstance(bias := getattr(module_at(bench.model, path), "bias", None), Tensor)})
        named = [sizes[path] for path in case.finding.layers if path in sizes]
        if not named:
            raise CannotMend("these layers have no bias of their own")
        paths = [path for path, size in sizes.items()
                 if path in case.finding.layers or size >= _AS_LARGE * min(named)]

        def change(model: nn.Module) -> None:
            for path in paths:
                nn.init.zeros_(getattr(model.get_submodule(path), "bias"))  # noqa: B009

        code = _loop(paths, ["nn.init.zeros_({}.bias)"])
        return Mended(
            lambda target: with_model(target, change), code=code,
            says=f"Start the biases of {listed(paths)} at zero.",
            edits=(Edit("after-construction", code=code),))


def starts_of(
    case: Case, graph: LayerGraph, *, rectified: Collection[ActivationUse] = (),
) -> list[Start]:
    """Return how layers should start.

    Args:
        case: Whose finding names the layers; all count if it names none with weights.
        graph: Of the target.
        rectified: Activations that will be rectifiers: the layers before them start by He,
            whatever the finding names.

    Raises:
        CannotMend: No layer has weights of its own.
    """
    named = set(case.finding.layers)
    recurs = any(use.layout == "opaque" and use.name in named for use in graph.layers)
    if case.finding.category != "initialization" and not recurs:
        named = set()
    if rectified:
        named = {use.name for use in graph.layers if use.activation_after in rectified}
    return _starts([use for use in graph.layers if not named or use.name in named],
                   rectified=bool(rectified))


def _starts(layers: Sequence[LayerUse], *, rectified: bool = False) -> list[Start]:
    uses: dict[str, LayerUse] = {}
    for use in layers:
        if _can_start(use):
            uses.setdefault(use.name, use)
    found = [Start(use.name, _kind(use, rectified)) for use in uses.values()]
    if not found:
        raise CannotMend("no layer with weights of its own is at fault")
    return found


def mended_starts(starts: Sequence[Start]) -> Mended:
    """Return the remedy that starts these layers so."""
    def change(model: nn.Module) -> None:
        for start in starts:
            _begin(model.get_submodule(start.path), start.kind)

    code = "\n".join(_codes(starts))
    return Mended(
        lambda target: with_model(target, change), code=code, says=_words(starts),
        edits=(Edit("after-construction", code=code),))


def only_fresh(target: Target) -> None:
    """Refuse a model with pretrained weights.

    Raises:
        CannotMend: The weights are pretrained.
    """
    if "from_pretrained" in target.traits:
        raise CannotMend("the weights are pretrained: other ones would throw them away")


def _can_start(use: LayerUse) -> bool:
    if use.layout == "opaque":
        return isinstance(use.module, nn.RNNBase) and use.trainable
    module: Any = use.module
    return (use.layout in ("out-in", "transposed") and use.trainable
            and use.parameter == f"{use.name}.weight".lstrip(".") and use.weight.dim() >= 2
            and isinstance(getattr(module, "weight", None), nn.Parameter))


def _kind(use: LayerUse, relu: bool) -> str:
    if use.layout == "opaque":
        return "recurrent"
    call = use.activation_after
    if call is None or call.gates:
        return "xavier"
    if call.activation.name == "selu" and not relu:
        return "lecun"
    return "he" if relu or call.activation.family in ("rectifier", "smooth") else "xavier"


def _begin(module: Any, kind: str) -> None:
    if kind == "recurrent":
        for name, parameter in module.named_parameters():
            _begin_recurrent(name, parameter)
        return
    if kind == "he":
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    elif kind == "lecun":
        nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
    else:
        nn.init.xavier_normal_(module.weight)
    if getattr(module, "bias", None) is not None:
        nn.init.zeros_(module.bias)


def _begin_recurrent(name: str, parameter: Tensor) -> None:
    """Start recurrent weights with a gain of one; what comes in and the biases stay."""
    if name.startswith("weight_hh"):
        with torch.no_grad():
            for gate in parameter.chunk(max(len(parameter) // parameter.shape[1], 1)):
                nn.init.orthogonal_(gate)


def _codes(starts: Sequence[Start]) -> list[str]:
    codes = []
    for kind, line in (("he", _HE), ("lecun", _LECUN), ("xavier", _XAVIER)):
        paths = [start.path for start in starts if start.kind == kind]
        if paths:
            codes.append(_loop(paths, [line, _BIAS]))
    codes += [_RECURRENT.format(in_code(start.path))
              for start in starts if start.kind == "recurrent"]
    return codes


def _loop(paths: Sequence[str], lines: Sequence[str]) -> str:
    body = "\n".join(line.format("layer") for line in lines).replace("\n", "\n    ")
    return f"for layer in {tuple_code([in_code(path) for path in paths])}:\n    {body}"


def _words(starts: Sequence[Start]) -> str:
    names = {"he": "He", "lecun": "LeCun", "xavier": "Xavier",
             "recurrent": "orthogonal recurrent weights"}
    parts = []
    for kind, word in names.items():
        paths = [start.path for start in starts if start.kind == kind]
        if paths:
            parts.append(f"{listed(paths)} by {word}" if kind != "recurrent"
                         else f"{listed(paths)} with {word}")
    zero = any(start.kind != "recurrent" for start in starts)
    return f"Start {', '.join(parts)}{', biases at zero' if zero else ''}."
