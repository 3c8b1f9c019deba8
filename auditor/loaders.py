"""The user's training and validation data as something to iterate over."""

from __future__ import annotations

import copy
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from auditor.calls import call_filled
from auditor.errors import TargetError
from auditor.names import Found, Namespace
from auditor.usercode import user_code

BATCH_SIZE_NAMES = (
    "batch_size", "BATCH_SIZE", "train_batch_size", "TRAIN_BATCH_SIZE", "BATCH", "bs", "BS",
)
_BATCH_SIZE = 32
# Where torch's handler of a worker's death comes from.
_DEATHS = "torch.utils.data._utils.signal_handling"


@dataclass(frozen=True)
class LoaderSource:
    """Gives loaders.

    Attributes:
        make: Returns something to iterate over.
        sample: One loader, made while places were recorded; not iterated.
        name: In the user's file.
        notes: Sentences for the report.
    """

    make: Callable[[], Iterable[Any]]
    sample: Any
    name: str
    notes: tuple[str, ...] = ()


def loader_source(found: Found, namespace: Namespace, *, training: bool) -> LoaderSource:
    """Return the source of loaders for what the file holds.

    Raises:
        TargetError: The user's code failed, or gave nothing to iterate over.
    """
    value, again = found.value, None
    if _is_function(value):
        def again() -> Any:
            return call_filled(found.name, found.value, (), namespace.values)
        with user_code(f"calling {found.name}()"):
            value = again()
    if isinstance(value, Iterator) and again is not None:
        # A generator is spent after one pass, so each pass calls the function.
        return LoaderSource(again, value, found.name)
    loader, notes = _as_loader(found.name, value, namespace, training=training)
    return LoaderSource(lambda: private_loader(loader), loader, found.name, notes)


def private_loader(loader: Any) -> Any:
    """Return a loader whose iteration leaves the user's own as it is.

    The samples are shared; what iterating changes - generators, counters, running workers - is
    not.
    """
    return _private(loader, {}) if isinstance(loader, DataLoader) else loader


def _as_loader(
    name: str, value: Any, namespace: Namespace, *, training: bool,
) -> tuple[Any, tuple[str, ...]]:
    if isinstance(value, (tuple, list)) and _are_columns(value):
        value = TensorDataset(*(torch.as_tensor(column) for column in value))
    if not _is_dataset(value):
        if hasattr(value, "__iter__") or hasattr(value, "__getitem__"):
            return value, ()
        raise TargetError(
            f"{namespace.file}: {name} is a {type(value).__name__}, which cannot be iterated over.",
            hint="Give a torch DataLoader, or any iterable of batches.",
        )
    size, said = _batch_size(namespace)
    shuffle = training and not isinstance(value, IterableDataset)
    collate = namespace.values.get("collate_fn")
    loader: DataLoader[Any] = DataLoader(
        value, batch_size=size, shuffle=shuffle, collate_fn=collate if callable(collate) else None,
    )
    how = f"DataLoader({name}, batch_size={size}, shuffle={shuffle})"
    note = f"{name} is a dataset; the audit reads it through {how}{said}."
    return loader, (note,)


def _batch_size(namespace: Namespace) -> tuple[int, str]:
    for name in BATCH_SIZE_NAMES:
        value = namespace.values.get(name)
        if isinstance(value, int) and value > 0:
            return value, ""
    return _BATCH_SIZE, "; the file has no batch_size"


def _is_function(value: Any) -> bool:
    if isinstance(value, type):
        return True
    return callable(value) and not hasattr(value, "__iter__") and not hasattr(value, "__getitem__")


def _is_dataset(value: Any) -> bool:
    if isinstance(value, Dataset):
        return True
    # Datasets of Hugging Face are no torch datasets, but are used as such.
    return type(value).__module__.partition(".")[0] == "datasets" and hasattr(value, "__getitem__")


def _are_columns(values: Iterable[Any]) -> bool:
    """Tell whether a pair holds whole columns (x, y) rather than batches."""
    columns = list(values)
    return len(columns) == 2 and all(
        isinstance(c, (Tensor, np.ndarray)) and c.ndim for c in columns
    ) and isinstance(values, tuple) and len(columns[0]) == len(columns[1])


_RANDOM = (np.random.Generator, np.random.RandomState)
_KEPT = (Tensor, np.ndarray, str, bytes, int, float, type, torch.dtype, torch.device)
_LONG = 64


def _private(value: Any, memo: dict[int, Any]) -> Any:
    """Copy what belongs to iterating, and share what holds samples."""
    if id(value) in memo:
        return memo[id(value)]
    if isinstance(value, torch.Generator):
        twin: Any = torch.Generator(value.device)
        twin.set_state(value.get_state())
    elif isinstance(value, _RANDOM) or type(value).__module__ == "random":
        twin = copy.deepcopy(value)
    elif isinstance(value, (list, tuple)) and type(value) in (list, tuple) and len(value) < _LONG:
        twin = type(value)(_private(item, memo) for item in value)
    elif isinstance(value, (DataLoader, Dataset)) or _is_sampler(value):
        try:
            twin = object.__new__(type(value))
        except TypeError:
            # It is a list or another built-in too, and holds its samples itself.
            return value
        memo[id(value)] = twin
        own = {k: _private(v, memo) for k, v in vars(value).items() if k != "_iterator"}
        twin.__dict__.update(own)
        if "_iterator" in vars(value):
            twin.__dict__["_iterator"] = None
        return twin
    else:
        return value
    memo[id(value)] = twin
    return twin


def _is_sampler(value: Any) -> bool:
    return isinstance(value, torch.utils.data.Sampler)


def tell_deaths_when_asked() -> None:
    """Let the death of a loader's worker be told when a batch is asked for, and only then.

    Once a loader has workers, torch raises their death out of a signal handler, in the middle of
    whatever runs: a training step, or our own code. A loader that waits for a batch finds it too.
    """
    number = getattr(signal, "SIGCHLD", None)
    if number is None or threading.current_thread() is not threading.main_thread():
        return
    if getattr(signal.getsignal(number), "__module__", "") == _DEATHS:
        signal.signal(number, signal.SIG_DFL)
