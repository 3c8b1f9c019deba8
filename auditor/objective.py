"""Forward and loss, as the user's own training does them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from auditor import lightning
from auditor.calls import accepts, required_names
from auditor.errors import TargetError
from auditor.models import copied
from auditor.names import LOSS, STEP, Found, Namespace
from auditor.observation import Place
from auditor.sourcemap import place_of_definition, take_place
from auditor.target import (
    ComputeLoss,
    Target,
    WithLossFunction,
    WithModelLoss,
    WithTrainingStep,
)
from auditor.usercode import user_code


@dataclass(frozen=True)
class Objective:
    """Forward and loss; the attributes are those of `Target`."""

    kind: str
    compute: ComputeLoss
    name: str = ""
    loss_fn: Any = None
    place: Place | None = None


def find_objective(namespace: Namespace, model: nn.Module) -> Objective:
    """Return forward and loss, as the user's own training does them.

    A step says more than a loss function beside it: it is what is trained with.
    """
    step = namespace.find(STEP)
    if step is not None:
        place = place_of_definition(step.value)
        return Objective("step", WithTrainingStep(step.value), step.name, place=place)
    if lightning.trains_itself(model):
        place = place_of_definition(getattr(type(model), "training_step", None))
        return Objective("step", lightning.WithLightningStep(), "training_step", place=place)
    found = namespace.find(LOSS)
    if found is None:
        return Objective("model", WithModelLoss())
    return _of_function(namespace, found)


def _of_function(namespace: Namespace, found: Found) -> Objective:
    value = found.value
    if isinstance(value, type) or not (isinstance(value, nn.Module) or accepts(value, 2)):
        with user_code(f"calling {found.name}()"):
            value = value()
    if not callable(value):
        raise TargetError(
            f"{namespace.file}: {found.name}() gave a {type(value).__name__}, not a loss function.",
            hint="The audit calls it with (output, target).",
        )
    place = take_place(value) or place_of_definition(value)
    needed = [] if isinstance(value, nn.Module) else required_names(value)
    if len(needed) == 2 and needed[0] in ("model", "net"):
        return Objective("step", WithTrainingStep(value), found.name, place=place)
    return Objective("loss", WithLossFunction(value), found.name, value, place)


def with_loss_on_device(target: Target) -> Target:
    """Return the target with a copy of its loss where the trials run (class weights)."""
    loss = target.loss_fn
    if not isinstance(loss, nn.Module) or any(True for _ in loss.parameters()):
        return target
    if all(buffer.device.type == target.device.type for buffer in loss.buffers()):
        return target
    moved = copied(loss).to(target.device)
    return replace(target, loss_fn=moved, compute=WithLossFunction(moved))
