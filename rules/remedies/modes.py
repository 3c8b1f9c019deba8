"""Layers that train in train mode."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import nn

from auditor.mending import with_model
from auditor.remedy import CannotMend, Case, Mended
from auditor.sourceedit import Edit

from ._layers import module_at

_MOMENTUM = 0.1


class TrainMode:
    """Puts the layers at fault into train mode in every training pass."""

    name: ClassVar[str] = "train-mode"
    says: ClassVar[str] = "puts layers into train mode while the model trains"

    def mend(self, case: Case) -> Mended:
        """Return the target whose layers train in train mode.

        Raises:
            CannotMend: The finding names no module.
        """
        paths = _modules(case)

        def change(model: nn.Module) -> None:
            for path in paths:
                layer: Any = model.get_submodule(path)
                layer.train()
                # The user's step may call eval() again; a pass without gradients is left alone.
                layer.register_forward_pre_hook(_train_with_gradients)
                if getattr(layer, "momentum", None) == 0:
                    layer.momentum = _MOMENTUM

        return Mended(lambda target: with_model(target, change))


class UsualMomentum:
    """Gives batch normalisation its usual momentum, so that its statistics follow the data."""

    name: ClassVar[str] = "usual-momentum"
    says: ClassVar[str] = "gives batch normalisation a momentum of 0.1"

    def mend(self, case: Case) -> Mended:
        """Return the target whose running statistics follow in time.

        Raises:
            CannotMend: The finding names no module.
        """
        paths = _modules(case)

        def change(model: nn.Module) -> None:
            for path in paths:
                layer: Any = model.get_submodule(path)
                layer.momentum = _MOMENTUM

        places = dict.fromkeys(case.target.places.get(path) for path in paths)
        return Mended(
            lambda target: with_model(target, change),
            edits=tuple(Edit("set-keyword", place, "momentum", f"{_MOMENTUM:g}", position=2)
                        for place in places if place))


def _modules(case: Case) -> list[str]:
    names = case.finding.layers
    paths: list[str] = case.look(lambda bench, _: [
        path for path in names if module_at(bench.model, path) is not None])
    if not paths:
        raise CannotMend("the layers are made inside forward")
    return paths


def _train_with_gradients(module: nn.Module, _: Any) -> None:
    if torch.is_grad_enabled():
        module.training = True
