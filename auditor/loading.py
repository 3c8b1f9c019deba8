"""Turns a user's file into a `Target`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from auditor.calls import accepts, required_names
from auditor.errors import TargetError
from auditor.isolation import seed_all, undisturbed
from auditor.loaders import loader_source
from auditor.models import find_model, model_source, traits_of
from auditor.names import (
    LOSS,
    OPTIMIZER,
    SCHEDULER,
    STEP,
    TRAIN_LOADER,
    VAL_LOADER,
    Namespace,
)
from auditor.observation import Place
from auditor.optimizers import DEFAULT_LR, optimizer_source, scheduler_maker
from auditor.sourcemap import (
    forget,
    place_of_definition,
    recording,
    take_layer_places,
    take_place,
)
from auditor.spec import Spec, parse_spec
from auditor.surroundings import Surroundings
from auditor.target import (
    ComputeLoss,
    Target,
    WithLossFunction,
    WithModelLoss,
    WithTrainingStep,
)
from auditor.usercode import user_code


def load(
    spec: str, *, names: Mapping[str, str] | None = None, seed: int = 0, device: str = "cpu",
    seconds: float = 60.0,
) -> Target:
    """Run a user's file and return what it holds as factories.

    Args:
        spec: `model.py`, `model.py:attr` or `package.module:attr`.
        names: Role (see `auditor.names.ROLES`) -> the name to use instead of the usual ones.
        seed: Of the file's random numbers.
        device: Where trials will run.
        seconds: Wall time after which the file counts as hanging.

    Raises:
        TargetError: The file cannot be run, or does not hold what an audit needs.
    """
    parsed = parse_spec(spec)
    home = Surroundings(parsed)
    with undisturbed(), home():
        seed_all(seed)
        with recording():
            module = home.run(seconds)
            namespace = Namespace(parsed.given, vars(module), names or {})
            target = _target(parsed, namespace, seed)
        forget(*vars(module).values())
    return replace(target, device=_device(device), surroundings=home)


def _target(spec: Spec, namespace: Namespace, seed: int) -> Target:
    ready = _ready_made(spec, namespace)
    if ready is not None:
        return replace(ready, file=spec.given)
    found = find_model(namespace)
    source = model_source(found, namespace, seed)
    data = namespace.find(TRAIN_LOADER)
    if data is None:
        raise namespace.missing(TRAIN_LOADER)
    loader = loader_source(data, namespace, training=True)
    val_data = namespace.find(VAL_LOADER)
    val = loader_source(val_data, namespace, training=False) if val_data is not None else None
    kind, compute, loss_fn, loss_name = _compute(namespace)
    optimizer = optimizer_source(namespace.find(OPTIMIZER), namespace, source)
    schedule = namespace.find(SCHEDULER)
    places = take_layer_places(source.sample)
    names = {
        "model": source.name, "train_loader": loader.name,
        "val_loader": val.name if val else "", "loss" if kind != "step" else "step": loss_name,
        "optimizer": optimizer.name, "scheduler": schedule.name if schedule else "",
    }
    notes = [*source.notes, *loader.notes, *(val.notes if val else ())]
    if not optimizer.given:
        notes.append(
            f"The file has no optimizer; AdamW(lr={DEFAULT_LR:g}) stands in for it.",
        )
    return Target(
        name=type(source.sample).__name__,
        file=spec.given,
        make_model=source.make,
        make_train_loader=loader.make,
        compute=compute,
        kind=kind,
        make_optimizer=optimizer.make,
        make_val_loader=val.make if val else None,
        make_scheduler=scheduler_maker(schedule, namespace, optimizer),
        loss_fn=loss_fn,
        reinitialises=source.reinitialises,
        optimizer_given=optimizer.given,
        places=places,
        optimizer_place=take_place(optimizer.sample) if optimizer.given else None,
        loader_place=take_place(loader.sample),
        val_loader_place=take_place(val.sample) if val else None,
        loss_place=_loss_place(loss_fn),
        model_place=places.get(""),
        names={role: name for role, name in names.items() if name},
        notes=tuple(notes),
        traits=traits_of(source.sample),
    )


def _ready_made(spec: Spec, namespace: Namespace) -> Target | None:
    """Return the `Target` that the file itself holds, or that was asked for."""
    if spec.attribute:
        value = namespace.resolve(spec.attribute)
        if isinstance(value, Target):
            return value
        namespace.choose("model", spec.attribute)
        return None
    return next((v for v in namespace.values.values() if isinstance(v, Target)), None)


def _compute(namespace: Namespace) -> tuple[str, ComputeLoss, Any, str]:
    """Return kind, forward and loss, the loss itself, and its name."""
    step, loss = namespace.find(STEP), namespace.find(LOSS)
    if step is not None:
        return "step", WithTrainingStep(step.value), None, step.name
    if loss is None:
        return "model", WithModelLoss(), None, ""
    value = loss.value
    if isinstance(value, type) or not (isinstance(value, nn.Module) or accepts(value, 2)):
        with user_code(f"calling {loss.name}()"):
            value = value()
    needed = [] if isinstance(value, nn.Module) else required_names(value)
    if len(needed) == 2 and needed[0] in ("model", "net"):
        return "step", WithTrainingStep(value), None, loss.name
    if not callable(value):
        raise TargetError(
            f"{namespace.file}: {loss.name}() gave a {type(value).__name__}, not a loss function.",
            hint="The audit calls it with (output, target).",
        )
    return "loss", WithLossFunction(value), value, loss.name


def _loss_place(loss_fn: Any) -> Place | None:
    return take_place(loss_fn) or place_of_definition(loss_fn) if loss_fn is not None else None


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as problem:
        raise TargetError(
            f"The device {name!r} cannot be used: {str(problem).splitlines()[0]}",
            hint="Use --device cpu.",
        ) from problem
    return device
