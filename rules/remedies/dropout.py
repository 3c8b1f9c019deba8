"""Dropout: lower, on, or in training only."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from auditor.functions import DROPOUTS
from auditor.mending import with_calls, with_model
from auditor.modes import set_dropout
from auditor.remedy import CannotMend, Case, Mended
from auditor.sourceedit import Edit

from ._layers import graph_of, listed

_USUAL = 0.2
_HALF = 0.5


class DropoutLower:
    """Lowers dropout to a usual probability."""

    name: ClassVar[str] = "dropout-lower"
    says: ClassVar[str] = "lowers dropout to 0.2"

    def mend(self, case: Case) -> Mended:
        """Return the target with less dropout.

        Raises:
            CannotMend: No module drops more than that.
        """
        paths = case.look(lambda bench, _: [
            path for path, module in bench.model.named_modules()
            if isinstance(module, nn.modules.dropout._DropoutNd) and module.p > _USUAL])
        if not paths:
            raise CannotMend("no dropout module drops more than that")
        places = dict.fromkeys(case.target.places.get(path) for path in paths)
        return Mended(
            lambda target: with_model(target, lambda model: set_dropout(model, _USUAL)),
            says=f"Drop {_USUAL:.0%} in {listed(paths)}.",
            code=f"nn.Dropout(p={_USUAL:g})",
            edits=tuple(Edit("set-keyword", place, "p", f"{_USUAL:g}", position=0)
                        for place in places if place))


class DropoutOn:
    """Drops half of the hidden units; judged on the validation batches."""

    name: ClassVar[str] = "dropout-on"
    says: ClassVar[str] = "drops half of the units of hidden linear layers"

    def mend(self, case: Case) -> Mended:
        """Return the target with dropout behind hidden linear layers.

        Raises:
            CannotMend: There is no hidden linear layer.
        """
        paths = list(dict.fromkeys(
            use.name for use in graph_of(case).layers
            if isinstance(use.module, nn.Linear) and use.activation_after is not None))
        if not paths:
            raise CannotMend("the model has no hidden linear layer")

        def change(model: nn.Module) -> None:
            for path in paths:
                model.get_submodule(path).register_forward_hook(_dropped)

        return Mended(lambda target: with_model(target, change), judges="validation",
                      says=f"Drop half of the units of {listed(paths)}.")


class DropoutInTraining:
    """Switches dropout that is called in `forward` off where nothing is trained."""

    name: ClassVar[str] = "dropout-in-training"
    says: ClassVar[str] = "drops values in training only"

    def mend(self, case: Case) -> Mended:
        """Return the target whose dropout calls do nothing in evaluation."""
        return Mended(lambda target: with_calls(target, lambda _, function: (
            partial(_in_training, function) if function in DROPOUTS else None)))


def _in_training(function: Any, *args: Any, **kwargs: Any) -> Any:
    # What evaluates takes no gradients; a mode is not known where the call is made.
    if torch.is_grad_enabled():
        return function(*args, **kwargs)
    return args[0] if args else kwargs["input"]


def _dropped(module: nn.Module, _: Any, output: Tensor) -> Tensor:
    return F.dropout(output, _HALF, training=module.training)
