"""Turns a user's file into a `Target`."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from types import ModuleType
from typing import Any, TypeVar

import torch
from torch import nn

from auditor import batches, lightning
from auditor.errors import TargetError
from auditor.isolation import seed_all, seeded, undisturbed
from auditor.keepsakes import Keepsakes
from auditor.loaders import loader_source
from auditor.models import find_model, has_lazy_layers, model_source, traits_of
from auditor.modes import evaluating
from auditor.names import (
    OPTIMIZER,
    SCHEDULER,
    TRAIN_LOADER,
    VAL_LOADER,
    Found,
    Namespace,
)
from auditor.objective import find_objective, with_loss_on_device
from auditor.optimizers import DEFAULT_LR, optimizer_source, scheduler_maker
from auditor.sourcemap import forget, place_of_name, recording, take_place
from auditor.spec import Spec, parse_spec
from auditor.store import BatchStore
from auditor.surroundings import Surroundings
from auditor.target import (
    LossResult,
    Target,
)
from auditor.trial import Bench
from auditor.usercode import user_code

# A model object's other initialisations come from running the file again: only a quick one is.
_QUICK_SECONDS = 2.0
# What was quick once takes longer on a machine that has become busy, and is waited for.
_PATIENT_SECONDS = 30.0
# The first run also imports the libraries, which a second one has for nothing.
_QUICK_FIRST_SECONDS = 20.0

Made = TypeVar("Made")


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
            begin = time.perf_counter()
            module = home.run(seconds)
            quick = time.perf_counter() - begin < _QUICK_FIRST_SECONDS
            namespace = Namespace(parsed.given, vars(module), names or {})
            keepsakes = Keepsakes(home.values())
            home.on_leaving(keepsakes.restore)
            target = _ready_made(parsed, namespace)
            if target is None:
                target = _target(namespace, seed, _again(home) if quick else None)
            if home.steps_at_import:
                target = replace(target, notes=(*target.notes, _trained(home.steps_at_import)))
        forget(*home.values())
    target = replace(target, file=parsed.given)
    if device != "cpu" or target.device.type == "cpu":
        # A ready-made target may have chosen its device itself.
        target = replace(target, device=_device(device))
    return _at_home(target, home, keepsakes)


def check(target: Target, store: BatchStore, seed: int = 0) -> LossResult:
    """Run one forward and backward pass of a fresh model on the first batch.

    Raises:
        TargetError: There is no batch, or the user's code failed on it.
    """
    stored = store.train(1)
    if not stored:
        raise TargetError(
            "The training loader is empty: it gave no batch.",
            hint="Check the dataset's length, batch_size and drop_last.",
        )
    with seeded(seed):
        bench = Bench(target)
        result = bench.loss(batches.private(stored[0]))
        # A loss without a graph is for the rules to judge.
        if result.loss.requires_grad:
            with user_code("running backward"):
                result.loss.backward()  # type: ignore[no-untyped-call]
    return result


def _target(
    namespace: Namespace, seed: int, run_again: Callable[[], ModuleType] | None,
) -> Target:
    attachment = lightning.Attachment(namespace)
    source = model_source(find_model(namespace), namespace, seed, attachment.attach, run_again)
    data, val_data = _data(namespace, source.sample)
    loader = loader_source(data, namespace, training=True)
    val = loader_source(val_data, namespace, training=False) if val_data is not None else None
    attachment.know_length(loader.sample)
    loss = find_objective(namespace, source.sample)
    found = namespace.find(OPTIMIZER) or lightning.optimizer_of(source.sample)
    optimizer = optimizer_source(found, namespace, source)
    schedule = namespace.find(SCHEDULER)
    names = {
        "model": source.name, "train_loader": loader.name, "val_loader": val.name if val else "",
        "step" if loss.kind == "step" else "loss": loss.name,
        "optimizer": optimizer.name, "scheduler": schedule.name if schedule else "",
    }
    named = partial(place_of_name, str(namespace.values["__file__"]))
    stands_in = f"The file has no optimizer; AdamW(lr={DEFAULT_LR:g}) stands in for it."
    return Target(
        name=type(source.sample).__name__,
        file=namespace.file,
        make_model=source.make,
        make_train_loader=loader.make,
        compute=loss.compute,
        kind=loss.kind,
        make_optimizer=lambda model: attachment.clip(optimizer.make(model)),
        make_val_loader=val.make if val else None,
        make_scheduler=scheduler_maker(schedule, namespace, optimizer),
        loss_fn=loss.loss_fn,
        reinitialises=source.reinitialises,
        optimizer_given=optimizer.given,
        places=source.places,
        optimizer_place=take_place(optimizer.sample) or named(optimizer.name),
        loader_place=take_place(loader.sample) or named(loader.name),
        val_loader_place=take_place(val.sample) or named(val.name) if val else None,
        loss_place=loss.place or named(loss.name),
        model_place=source.places.get(""),
        names={role: name for role, name in names.items() if name},
        notes=(*source.notes, *loader.notes, *(val.notes if val else ()),
               *(() if optimizer.given else (stands_in,))),
        traits=traits_of(source.sample),
    )


def _at_home(target: Target, home: Surroundings, keepsakes: Keepsakes) -> Target:
    """Return the target with factories that run in the user's surroundings."""
    def inside(make: Callable[..., Made]) -> Callable[..., Made]:
        @functools.wraps(make)
        def making(*arguments: Any) -> Made:
            with home():
                return make(*arguments)
        return making

    first_batch: list[Any] = []

    def make_model() -> nn.Module:
        keepsakes.restore()
        model = target.make_model()
        if has_lazy_layers(model):
            if not first_batch:
                with undisturbed():
                    first_batch.append(next(iter(target.make_train_loader())))
            with evaluating(model):
                target.compute(model, batches.private(first_batch[0]))
        return model

    return replace(
        with_loss_on_device(target),
        make_model=inside(make_model),
        make_train_loader=inside(target.make_train_loader),
        make_optimizer=inside(target.make_optimizer),
        make_val_loader=inside(target.make_val_loader) if target.make_val_loader else None,
        make_scheduler=inside(target.make_scheduler) if target.make_scheduler else None,
        surroundings=home,
    )


def _data(namespace: Namespace, model: nn.Module) -> tuple[Found, Found | None]:
    """Return what gives the training and the validation data.

    Raises:
        TargetError: There is no training data.
    """
    data, val = namespace.find(TRAIN_LOADER), namespace.find(VAL_LOADER)
    if data is None and lightning.is_lightning(model):
        data, own_val = lightning.loaders_of(model, namespace)
        val = val or own_val
    if data is None:
        raise namespace.missing(TRAIN_LOADER)
    return data, val


def _ready_made(spec: Spec, namespace: Namespace) -> Target | None:
    """Return the `Target` that the file itself holds, or that was asked for."""
    if spec.attribute:
        value = namespace.resolve(spec.attribute)
        if isinstance(value, Target):
            return value
        namespace.choose("model", spec.attribute)
        return None
    return next((v for v in namespace.values.values() if isinstance(v, Target)), None)


def _again(home: Surroundings) -> Callable[[], ModuleType]:
    """Return what runs the file once more; only the first such run has to be quick."""
    seconds = _QUICK_SECONDS

    def run() -> ModuleType:
        nonlocal seconds
        module = home.run_again(seconds)
        seconds = _PATIENT_SECONDS
        return module

    return run


def _trained(steps: int) -> str:
    return (f"The file took {steps} optimizer steps while it was imported, so the audit may begin "
            "with trained weights; put the training behind `if __name__ == \"__main__\":`.")


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
