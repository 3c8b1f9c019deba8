"""Fresh copies of the user's model, whatever form it has in their file."""

from __future__ import annotations

import copy
import inspect
import io
import time
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils.weak import WeakIdKeyDictionary

from auditor.calls import call_filled, required_names
from auditor.errors import TargetError, TargetTimeout
from auditor.isolation import seed_all, seeded
from auditor.names import LOSS, MODEL, Found, Namespace
from auditor.observation import Place
from auditor.reruns import Reruns, state_of
from auditor.sourcemap import take_layer_places
from auditor.usercode import is_users, user_code

# Building the model a second time tells whether it draws its weights; slow ones are not.
_SLOW_BUILD_SECONDS = 3.0


@dataclass(frozen=True)
class ModelSource:
    """Makes the models of the trials.

    Attributes:
        make: Returns a fresh model.
        sample: One model; never trained.
        original: The user's own object, when the file holds one instead of a function.
        reinitialises: `make` draws new weights.
        name: In the user's file.
        places: Layer path -> line of the user's file that makes it.
        born: Parameter of a model that was handed out -> its name then; a remedy may move it.
        notes: Sentences for the report.
    """

    make: Callable[[], nn.Module]
    sample: nn.Module
    original: nn.Module | None
    reinitialises: bool
    name: str
    places: Mapping[str, Place]
    born: MutableMapping[Tensor, str]
    notes: tuple[str, ...] = ()


def find_model(namespace: Namespace) -> Found:
    """Return what makes the model.

    Raises:
        TargetError: Nothing does, or several classes could.
    """
    found = namespace.find(MODEL)
    if found is not None:
        return found
    loss = namespace.find(LOSS)
    criteria = {loss.value, type(loss.value)} if loss is not None else set()
    classes = [
        Found(n, v) for n, v in namespace.values.items()
        if _is_own_class(v, namespace) and v not in criteria
    ]
    built = {f.name: m for f in classes if (m := _built_without_arguments(f)) is not None}
    inner = {type(m) for model in built.values() for m in model.modules() if m is not model}
    outer = [f for f in classes if f.name in built and f.value not in inner]
    if len(outer) == 1:
        return outer[0]
    if len(outer) > 1:
        names = ", ".join(f.name for f in outer)
        raise TargetError(
            f"{namespace.file}: several classes could be the model: {names}.",
            hint=f"Name the one that is trained with --model NAME, for example "
                 f"--model {outer[-1].name}, or write a function build_model().",
        )
    raise namespace.missing(MODEL)


def model_source(
    found: Found, namespace: Namespace, seed: int, finish: Callable[[nn.Module], nn.Module],
    run_again: Callable[[], ModuleType] | None,
) -> ModelSource:
    """Return the source of fresh models for what the file holds.

    Args:
        found: What makes the model.
        namespace: Of the file.
        seed: Of the first model that a function makes.
        finish: Does what is left to do to every model that is handed out, and returns it.
        run_again: Runs the file once more; None when that would take too long.

    Raises:
        TargetError: The user's code failed, or gave no model.
    """
    born: MutableMapping[Tensor, str] = WeakIdKeyDictionary()

    def hand_out(model: nn.Module) -> nn.Module:
        model = finish(model)
        born.update({parameter: name for name, parameter in model.named_parameters()})
        return model

    if isinstance(found.value, nn.Module):
        return _of_object(found, uncompiled(found.value), hand_out, born, run_again)
    return _of_function(found, namespace, seed, hand_out, born, run_again)


def _of_function(
    found: Found, namespace: Namespace, seed: int, hand_out: Callable[[nn.Module], nn.Module],
    born: MutableMapping[Tensor, str], run_again: Callable[[], ModuleType] | None,
) -> ModelSource:
    """Return a source that calls the user's function or class for each model."""
    def build() -> nn.Module:
        return _model_in(found.name, call_filled(found.name, found.value, (), namespace.values))

    begin = time.perf_counter()
    with user_code(f"calling {found.name}()"):
        seed_all(seed)
        sample = build()
    seconds = time.perf_counter() - begin
    places = take_layer_places(sample)
    if seconds > _SLOW_BUILD_SECONDS:
        return ModelSource(
            lambda: hand_out(build()), hand_out(sample), None, True, found.name, places, born)
    with user_code(f"calling {found.name}() a second time"), seeded(seed + 1):
        second = build()
    if second is sample:
        return _of_object(found, sample, hand_out, born, run_again, places)
    fixed = same_state(sample, second)
    # Trials would change what the models share; the user's own part stays as it is.
    private = copied if _share_tensors(sample, second) else _as_it_is
    note = f"{found.name}() makes the same weights each time, so one initialisation was seen."
    return ModelSource(
        lambda: hand_out(private(build())), hand_out(private(sample)), None, not fixed,
        found.name, places, born, (note,) if fixed else (),
    )


def _of_object(
    found: Found, model: nn.Module, hand_out: Callable[[nn.Module], nn.Module],
    born: MutableMapping[Tensor, str], run_again: Callable[[], ModuleType] | None,
    places: Mapping[str, Place] | None = None,
) -> ModelSource:
    """Return a source of copies of the user's own object, under other seeds if that is quick."""
    with user_code(f"copying {found.name}"):
        pristine = copied(model)
    seen = take_layer_places(pristine)
    reruns, why = _reruns(found, pristine, run_again)
    # Lazy layers draw their weights when they first see a batch.
    redraws = reruns is not None or has_lazy_layers(pristine)

    def make() -> nn.Module:
        fresh = copied(pristine)
        return hand_out(transplanted(fresh, reruns.state()) if reruns is not None else fresh)

    note = (f"{found.name} is an object, and {why}; one initialisation was seen.",) if why else ()
    return ModelSource(
        make, hand_out(copied(pristine)), model, redraws, found.name, places or seen, born, note,
    )


def _reruns(
    found: Found, pristine: nn.Module, run_again: Callable[[], ModuleType] | None,
) -> tuple[Reruns | None, str]:
    """Return the runs that give other initialisations, or why there are none."""
    if has_lazy_layers(pristine):
        return None, ""
    if run_again is None:
        return None, "running the file again takes too long"

    def find(values: Mapping[str, Any]) -> nn.Module:
        value = Namespace("", values, {}).resolve(found.name)
        is_object = isinstance(value, nn.Module)
        made = value if is_object else call_filled(found.name, value, (), values)
        return _model_in(found.name, made)

    reruns = Reruns(run_again, find)
    own = state_of(pristine)
    try:
        other = reruns.state()
    except TargetError as problem:
        return None, "running the file again " + (
            "takes too long" if isinstance(problem, TargetTimeout) else "fails")
    if {n: t.shape for n, t in own.items()} != {n: t.shape for n, t in other.items()}:
        return None, "running the file again gives a model of another shape"
    if all(_equal(own[name], other[name]) for name in own):
        return None, "running the file again gives the same weights"
    return reruns, ""


def _as_it_is(model: nn.Module) -> nn.Module:
    return model


def uncompiled(model: nn.Module) -> nn.Module:
    """Return the module inside of `torch.compile(module)`; its layers have the user's names."""
    inner = getattr(model, "_orig_mod", None)
    return inner if isinstance(inner, nn.Module) else model


def copied(model: nn.Module) -> nn.Module:
    """Return a deep copy of a model; tensors in the middle of a graph are copied without it."""
    if isinstance(model, torch.jit.ScriptModule):
        # A deep copy of compiled code hangs in the graph of the original's weights.
        with io.BytesIO() as file:
            torch.jit.save(model, file)
            file.seek(0)
            return torch.jit.load(file)  # type: ignore[no-any-return, no-untyped-call]
    memo: dict[int, Any] = {}
    for module in model.modules():
        for value in vars(module).values():
            # Weights that old-style `weight_norm` computes refuse to be deep-copied.
            if isinstance(value, Tensor) and not value.is_leaf:
                memo[id(value)] = value.detach().clone()
    return copy.deepcopy(model, memo)


def has_lazy_layers(model: nn.Module) -> bool:
    """Tell whether a model has weights that get their shape from the first batch."""
    return any(is_lazy(parameter) for parameter in model.parameters())


def same_state(one: nn.Module, other: nn.Module) -> bool:
    """Tell whether two models hold the same numbers."""
    mine, theirs = state_of(one), state_of(other)
    return mine.keys() == theirs.keys() and all(_equal(mine[n], theirs[n]) for n in mine)


def traits_of(model: nn.Module) -> frozenset[str]:
    """Return what libraries a model comes from, as far as probes must know."""
    libraries = {cls.__module__.partition(".")[0] for cls in type(model).__mro__}
    traits = set()
    if "transformers" in libraries:
        traits.add("huggingface")
        if getattr(getattr(model, "config", None), "_name_or_path", ""):
            traits.add("from_pretrained")
    return frozenset(traits)


def _is_own_class(value: Any, namespace: Namespace) -> bool:
    """Tell whether a value is a module class of the user's, and no loss."""
    if not (inspect.isclass(value) and issubclass(value, nn.Module)):
        return False
    if value.__name__.endswith("Loss"):
        return False
    try:
        return is_users(inspect.getfile(value))
    except (TypeError, OSError):
        return value.__module__ == namespace.values.get("__name__")


def _built_without_arguments(found: Found) -> nn.Module | None:
    if required_names(found.value):
        return None
    with user_code(f"making {found.name}()"), seeded(0):
        return _model_in(found.name, found.value())


def _model_in(name: str, made: Any) -> nn.Module:
    if isinstance(made, (tuple, list)) and made:
        made = made[0]
    if isinstance(made, nn.Module):
        return uncompiled(made)
    raise TargetError(
        f"{name}() gave a {type(made).__name__}, not a model (nn.Module).",
        hint="Return the model from it.",
    )


def _share_tensors(one: nn.Module, other: nn.Module) -> bool:
    mine = {id(tensor) for tensor in state_of(one).values()}
    return any(id(tensor) in mine for tensor in state_of(other).values())


def _equal(one: Tensor, other: Tensor) -> bool:
    if is_lazy(one) or is_lazy(other):
        # Lazy layers have no weights before their first forward pass.
        return False
    return one.shape == other.shape and one.dtype == other.dtype and torch.equal(one, other)


def transplanted(model: nn.Module, state: Mapping[str, Tensor]) -> nn.Module:
    """Put another model's numbers into a model of the same shape, and return it."""
    with torch.no_grad():
        for name, tensor in state_of(model).items():
            tensor.copy_(state[name])
    return model
