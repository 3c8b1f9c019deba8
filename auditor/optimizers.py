"""The user's optimizer and schedule, built anew over the parameters of a fresh model."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from auditor.calls import call_filled, required_names
from auditor.errors import TargetError
from auditor.models import ModelSource
from auditor.names import Found, Namespace
from auditor.usercode import user_code

DEFAULT_LR = 1e-3
# Parts of the names of optimizers that divide a gradient by its size (Adam, Adagrad, RAdam, ...).
_ADAPTIVE = ("ada", "rmsprop", "lion", "lamb")


@dataclass(frozen=True)
class OptimizerSource:
    """Makes the optimizers of the trials.

    Attributes:
        make: Builds one for a model that the model source made.
        sample: One optimizer, made while places were recorded; never stepped.
        scheduler: That came with it; None when the file's own is to be used.
        given: False when AdamW stands in.
        name: In the user's file.
    """

    make: Callable[[nn.Module], Optimizer]
    sample: Optimizer
    scheduler: Any = None
    given: bool = True
    name: str = ""


def optimizer_source(
    found: Found | None, namespace: Namespace, source: ModelSource,
) -> OptimizerSource:
    """Return the source of fresh optimizers for what the file holds.

    Raises:
        TargetError: The user's code failed, gave no optimizer, or gave several.
    """
    if found is None:
        def make_default(model: nn.Module) -> Optimizer:
            return torch.optim.AdamW(model.parameters(), lr=DEFAULT_LR)
        return OptimizerSource(make_default, make_default(source.sample), given=False)
    if isinstance(found.value, Optimizer):
        return of_object(found.name, found.value, namespace, source)
    call = _caller(found, namespace)
    with user_code(f"calling {found.name}()"):
        sample, scheduler = unpacked(found.name, call(source.sample))
    if not required_names(found.value) and not _holds_any(sample, source.sample):
        # It is built over the file's own model; trials have copies of that one.
        made = of_object(found.name, sample, namespace, source)
        return OptimizerSource(made.make, sample, scheduler, name=found.name)

    def make(model: nn.Module) -> Optimizer:
        return unpacked(found.name, call(model))[0]

    return OptimizerSource(make, sample, scheduler, name=found.name)


def of_object(
    name: str, optimizer: Optimizer, namespace: Namespace, source: ModelSource,
) -> OptimizerSource:
    """Return a source of copies of the user's own optimizer over the parameters of other models.

    What it holds that is not the model's stays as it is, and what it leaves out stays out: rules
    judge both.
    """
    names = _names_of_held(optimizer, _owners(namespace, source))
    pristine = rebuilt(optimizer, {})
    trainable = {name for name, p in source.sample.named_parameters() if p.requires_grad}
    holds_all = trainable <= set(names.values())

    def make(model: nn.Module) -> Optimizer:
        parameters, added = _by_first_name(model, source)
        made = rebuilt(pristine, {
            held: parameters[own] for held, own in names.items() if own in parameters
        })
        if holds_all:
            # A remedy has put new layers in; who trains everything would train them too.
            made.param_groups[0]["params"].extend(added)
        return made

    return OptimizerSource(make, optimizer, name=name)


def rebuilt(optimizer: Optimizer, parameters: Mapping[int, Tensor]) -> Optimizer:
    """Return an optimizer of the same class, groups, settings and state over other parameters.

    Args:
        optimizer: Not changed.
        parameters: `id` of a held tensor -> what stands for it; others stay the same tensors.
    """
    memo: dict[int, Any] = {id(p): parameters.get(id(p), p) for p in held_by(optimizer)}
    twin: Optimizer = type(optimizer).__new__(type(optimizer))
    memo[id(optimizer)] = twin
    for key, value in vars(optimizer).items():
        # A scheduler puts a `step` into the instance that would step the original.
        if key != "step":
            twin.__dict__[key] = copy.deepcopy(value, memo)
    for parameter, state in twin.state.items():
        # Adagrad has a state before its first step, on the device of the user's model.
        for name, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                state[name] = value.to(parameter.device)
    return twin


def held_by(optimizer: Optimizer) -> Iterable[Tensor]:
    """Yield the tensors of all groups, in order."""
    for group in optimizer.param_groups:
        yield from group["params"]


def scales_linearly(optimizer: Optimizer) -> bool:
    """Tell whether the rate grows as the batch does (SGD), or as its square root (adaptive ones).

    Source: Goyal et al. 2017, arXiv:1706.02677; Malladi et al. 2022, arXiv:2205.10287.
    """
    name = type(optimizer).__name__.lower()
    return not any(part in name for part in _ADAPTIVE)


def unpacked(name: str, made: Any) -> tuple[Optimizer, Any]:
    """Return the optimizer and the scheduler (or None) in what a user's function gave.

    Takes an optimizer, a list of one, (optimizer, scheduler), ([optimizers], [schedulers]) and
    dicts with "optimizer" and "lr_scheduler", as Lightning does.

    Raises:
        TargetError: There is no optimizer in it, or several.
    """
    optimizers, schedulers = _flattened(made)
    if len(optimizers) > 1:
        raise TargetError(
            f"{name}() gives {len(optimizers)} optimizers; the audit follows one.",
            hint="Write a function optimizer(model) that gives the one to be judged.",
        )
    if not optimizers:
        raise TargetError(
            f"{name}() gave a {type(made).__name__}, not a torch optimizer.",
            hint="Return a torch.optim.Optimizer from it.",
        )
    return optimizers[0], schedulers[0] if schedulers else None


def scheduler_maker(
    found: Found | None, namespace: Namespace, source: OptimizerSource,
) -> Callable[[Optimizer], Any] | None:
    """Return what makes the user's schedule for an optimizer; None when there is none."""
    prototype = source.scheduler
    if prototype is None and found is not None:
        if not hasattr(found.value, "step"):
            if required_names(found.value):
                return lambda opt: call_filled(found.name, found.value, (opt,), namespace.values)
            with user_code(f"calling {found.name}()"):
                prototype = found.value()
        else:
            prototype = found.value
    if prototype is None:
        return None
    settings = _settings_of(getattr(prototype, "optimizer", None))
    return lambda optimizer: _rebound(prototype, settings, optimizer)


def _rebound(scheduler: Any, settings: Sequence[Mapping[str, Any]], optimizer: Optimizer) -> Any:
    """Return a copy of a schedule that steps another optimizer.

    Args:
        scheduler: Not changed.
        settings: Of the groups of its own optimizer, as the schedule left them when it was made;
            it keeps its own numbers there ("initial_lr", "max_lr").
        optimizer: With as many groups.
    """
    for group, like in zip(optimizer.param_groups, settings, strict=False):
        group.update(copy.deepcopy({k: v for k, v in like.items() if k not in group or k == "lr"}))
    return copy.deepcopy(scheduler, {id(getattr(scheduler, "optimizer", None)): optimizer})


def _settings_of(optimizer: object) -> list[dict[str, Any]]:
    if not isinstance(optimizer, Optimizer):
        return []
    return [
        copy.deepcopy({k: v for k, v in group.items() if k != "params"})
        for group in optimizer.param_groups
    ]


def _flattened(made: Any) -> tuple[list[Optimizer], list[Any]]:
    if isinstance(made, Optimizer):
        return [made], []
    if isinstance(made, Mapping):
        optimizers, schedulers = _flattened(made.get("optimizer"))
        scheduler = made.get("lr_scheduler", made.get("scheduler"))
        return optimizers, [*schedulers, *_flattened(scheduler)[1]]
    if isinstance(made, (list, tuple)):
        parts = [_flattened(item) for item in made]
        return [o for p in parts for o in p[0]], [s for p in parts for s in p[1]]
    return [], [made] if hasattr(made, "step") else []


def _caller(found: Found, namespace: Namespace) -> Callable[[nn.Module], Any]:
    """Return a function of the model, whatever the user's function is a function of."""
    function, values = found.value, namespace.values
    required = required_names(function)
    plain = function.func if isinstance(function, functools.partial) else function
    if inspect.isclass(plain) and issubclass(plain, Optimizer):
        return lambda model: call_filled(found.name, function, (model.parameters(),), values)
    if not required and not _takes_model(function):
        return lambda model: call_filled(found.name, function, (), values)
    if required and "param" in required[0].lower():
        return lambda model: call_filled(found.name, function, (model.parameters(),), values)
    if required and required[0] in ("params", "p", "weights", "named_parameters"):
        return lambda model: call_filled(found.name, function, (model.parameters(),), values)

    def of_model_or_parameters(model: nn.Module) -> Any:
        try:
            return call_filled(found.name, function, (model,), values)
        except TypeError as problem:
            if "argument given to the optimizer" not in str(problem):
                raise
            return call_filled(found.name, function, (model.parameters(),), values)

    return of_model_or_parameters


def _takes_model(function: Callable[..., Any]) -> bool:
    first = next(iter(inspect.signature(function).parameters), "")
    return first in ("model", "net", "module", "network")


def _holds_any(optimizer: Optimizer, model: nn.Module) -> bool:
    own = {id(parameter) for parameter in model.parameters()}
    return any(id(parameter) in own for parameter in held_by(optimizer))


def _by_first_name(
    model: nn.Module, source: ModelSource,
) -> tuple[dict[str, Tensor], list[Tensor]]:
    """Return the parameters by the names that they had when the model was made, and later ones."""
    known = {name for name, _ in source.sample.named_parameters()}
    parameters: dict[str, Tensor] = {}
    added: list[Tensor] = []
    for now, parameter in model.named_parameters():
        name = source.born.get(parameter, now)
        if name in known:
            parameters[name] = parameter
        elif parameter.requires_grad:
            added.append(parameter)
    return parameters, added


def _owners(namespace: Namespace, source: ModelSource) -> list[nn.Module]:
    """Return the user's objects that trials have copies of."""
    if source.original is not None:
        return [source.original]
    names = {name for name, _ in source.sample.named_parameters()}
    return [
        value for value in namespace.values.values()
        if type(value) is type(source.sample)
        and {name for name, _ in value.named_parameters()} == names
    ]


def _names_of_held(optimizer: Optimizer, owners: Iterable[nn.Module]) -> dict[int, str]:
    """Return `id` of a held tensor -> its name in the user's model."""
    held = {id(parameter) for parameter in held_by(optimizer)}
    best: dict[int, str] = {}
    for owner in owners:
        names = {id(p): name for name, p in owner.named_parameters() if id(p) in held}
        best = max(best, names, key=len)
    return best
