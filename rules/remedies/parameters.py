"""An optimizer that holds every parameter, and a model that registers every layer."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn
from torch.optim import Optimizer

from auditor.mending import with_model, with_optimizer
from auditor.optimizers import held_by
from auditor.remedy import CannotMend, Case, Mended
from auditor.sourceedit import Edit
from auditor.target import Target

_CONTAINERS = (list, tuple, dict)


class AllParameters:
    """Gives the optimizer every trainable parameter."""

    name: ClassVar[str] = "all-parameters"
    says: ClassVar[str] = "gives the optimizer every trainable parameter"

    def mend(self, case: Case) -> Mended:
        """Return the target whose optimizer holds all trainable parameters.

        Raises:
            CannotMend: It does already.
        """
        missing = case.look(lambda bench, _: len(_missing(bench.optimizer, bench.model)))
        if not missing:
            raise CannotMend("the optimizer holds every parameter of a fresh model")
        place = case.target.optimizer_place
        return Mended(
            lambda target: with_optimizer(target, _add_missing),
            edits=(Edit("first-argument", place, code="parameters"),) if place else ())


class RegisterLayers:
    """Registers modules that stand in plain lists and dicts, and trains them."""

    name: ClassVar[str] = "register-layers"
    says: ClassVar[str] = "registers layers that stand in plain lists and dicts"

    def mend(self, case: Case) -> Mended:
        """Return the target with these layers registered and held by the optimizer.

        Raises:
            CannotMend: No plain list or dict of the model holds layers.
        """
        if not case.look(lambda bench, _: len(_hidden(bench.model))):
            raise CannotMend("no plain list or dict of the model holds layers")
        return Mended(_registered)


def _registered(target: Target) -> Target:
    def change(model: nn.Module) -> None:
        for owner, key, layers in _hidden(model):
            owner.add_module(f"{key}_registered", nn.ModuleList(layers))

    return with_optimizer(with_model(target, change), _add_missing)


def _hidden(model: nn.Module) -> list[tuple[nn.Module, str, list[nn.Module]]]:
    known = set(model.modules())
    found = []
    for owner in list(known):
        for key, value in vars(owner).items():
            if key.startswith("_") or not isinstance(value, _CONTAINERS):
                continue
            items: Any = value.values() if isinstance(value, dict) else value
            layers = [item for item in items if isinstance(item, nn.Module) and item not in known]
            if layers:
                found.append((owner, key, layers))
    return found


def _missing(optimizer: Optimizer, model: nn.Module) -> list[nn.Parameter]:
    held = {id(parameter) for parameter in held_by(optimizer)}
    return [p for p in model.parameters() if p.requires_grad and id(p) not in held]


def _add_missing(optimizer: Optimizer, model: nn.Module) -> None:
    # Into the first group: schedules have one entry for each of the user's groups.
    optimizer.param_groups[0]["params"].extend(_missing(optimizer, model))
