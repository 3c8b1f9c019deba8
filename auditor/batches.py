"""Batches of any shape: taking them apart, counting, copying, choosing samples.

A batch is a tensor, a tuple, a list, a mapping, a named tuple or a dataclass of such things, or an
opaque object that only the user's own training step understands.
"""

from __future__ import annotations

import copy
import dataclasses
from collections import Counter
from collections.abc import (
    Callable,
    Hashable,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    Sequence,
)
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from auditor import graphs

# The keys, numbers and names that lead to a part of a batch.
Place: TypeAlias = tuple[Hashable, ...]

# How far down an opaque batch its bytes are looked for.
_DEEPEST = 6
# In a smaller table the samples' values with themselves may be equal by chance.
_FEWEST_PAIRED = 4
TARGET_KEYS = ("labels", "label", "targets", "target", "y", "start_positions", "mc_labels")


@dataclass(frozen=True, slots=True)
class Parts:
    """A batch as the model and the loss see it.

    Attributes:
        args: Positional inputs of the model.
        kwargs: Keyword inputs of the model; the target is left out.
        target: What the loss compares the output with; None when the batch holds none.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    target: Any

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """All input tensors, in order."""
        return tuple(tensors_of((self.args, self.kwargs)))


def split(batch: Any) -> Parts:
    """Take a batch apart: the last item of a sequence or a label key of a mapping is the target.

    A batch that is one tensor is its own target (autoencoders); an opaque batch is one input.
    """
    if isinstance(batch, Mapping):
        key = next((k for k in TARGET_KEYS if k in batch), None)
        rest = {str(k): v for k, v in batch.items() if k != key}
        return Parts((), rest, batch[key] if key is not None else None)
    if isinstance(batch, (tuple, list)) and len(batch) >= 2:
        return Parts(tuple(batch[:-1]), {}, batch[-1])
    if isinstance(batch, (tuple, list)) and len(batch) == 1:
        return Parts((batch[0],), {}, batch[0])
    return Parts((batch,), {}, batch if isinstance(batch, Tensor) else None)


def tensors_of(batch: Any) -> Iterator[Tensor]:
    """Yield the tensors of a batch, in order."""
    for _, tensor in places_of(batch):
        yield tensor


def places_of(batch: Any, place: Place = ()) -> Iterator[tuple[Place, Tensor]]:
    """Yield the tensors of a batch, in order, each with the keys, numbers and names to it."""
    items: Iterable[tuple[Hashable, Any]] = ()
    if isinstance(batch, Tensor):
        yield place, batch
    elif isinstance(batch, Mapping):
        items = batch.items()
    elif isinstance(batch, (list, tuple)):
        items = enumerate(batch)
    elif dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        items = ((field.name, getattr(batch, field.name)) for field in dataclasses.fields(batch))
    for key, item in items:
        yield from places_of(item, (*place, key))


def is_dense(tensor: Tensor) -> bool:
    """Tell whether a tensor is neither sparse nor nested."""
    return tensor.layout == torch.strided and not tensor.is_nested


def same_values(one: Tensor, other: Tensor) -> bool:
    """Tell whether two tensors hold the same numbers in the same order, whatever their shape."""
    both = (one, other)
    if not all(map(is_dense, both)):
        return False
    if one.numel() != other.numel() or not one.numel() or any(t.is_complex() for t in both):
        return False
    ours, theirs = (tensor.detach().cpu().reshape(-1).double() for tensor in both)
    return torch.equal(ours, theirs)


def map_tensors(batch: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Return a copy of the batch's structure with every tensor replaced by `change(tensor)`."""
    if isinstance(batch, Tensor):
        return change(batch)
    if isinstance(batch, Mapping):
        return _same_mapping(batch, {k: map_tensors(v, change) for k, v in batch.items()})
    if isinstance(batch, PackedSequence):
        # The batch sizes say how the data lies; they are no data, and stay on the CPU.
        return batch._replace(**{
            name: change(tensor) for name, tensor in batch._asdict().items()
            if name != "batch_sizes" and tensor is not None
        })
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(map_tensors(item, change) for item in batch))
    if isinstance(batch, (list, tuple)):
        return type(batch)(map_tensors(item, change) for item in batch)
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        changed = copy.copy(batch)
        for field in dataclasses.fields(batch):
            object.__setattr__(
                changed, field.name, map_tensors(getattr(batch, field.name), change)
            )
        return changed
    return batch


def length(batch: Any) -> int:
    """Return the number of samples: the first dimension that most tensors of the batch share.

    Of two that are equally common, that of the target counts: in `(T, N, F), (N,)` the samples
    stand in the second dimension of the first.
    """
    tensors = [t for t in tensors_of(batch) if t.dim()]
    sizes = Counter(t.shape[0] for t in tensors)
    if sizes:
        most = max(sizes.values())
        common = [size for size in sizes if sizes[size] == most]
        target = split(batch).target
        if isinstance(target, Tensor) and target.dim() and target.shape[0] in common:
            return target.shape[0]
        return common[0]
    try:
        return len(batch)
    except TypeError:
        return 1


def select(batch: Any, samples: Sequence[int] | Tensor) -> Any:
    """Return the batch with only the given samples, in that order.

    Tensors and lists whose first dimension is not the number of samples are kept whole, but for
    rows of numbers that hold the samples one behind the other, each as long as another tensor says
    (the targets of CTC). So are graphs that cannot be joined again. A table of all pairs of samples
    is cut on both sides.
    """
    each = graphs.graphs_of(batch)
    if each is not None:
        chosen = graphs.batch_of([each[i] for i in torch.as_tensor(samples).tolist()], batch)
        return batch if chosen is None else chosen
    index = torch.as_tensor(samples)
    count = length(batch)
    lengths = _lengths(batch, count)
    pairs = _table_of_pairs(batch, count)

    def choose(tensor: Tensor) -> Tensor:
        if tensor is pairs:
            return tensor[index.to(tensor.device)][:, index.to(tensor.device)]
        if tensor.dim() and tensor.shape[0] == count:
            return tensor[index.to(tensor.device)]
        if tensor.dim() == 1 and tensor.shape[0] in lengths:
            parts = torch.split(tensor, lengths[tensor.shape[0]])
            return torch.cat([tensor[:0], *(parts[sample] for sample in index.tolist())])
        return tensor

    return _choose_lists(map_tensors(batch, choose), index.tolist(), count)


def _lengths(batch: Any, count: int) -> dict[int, list[int]]:
    """Return what may be the lengths of the samples, by their sum."""
    whole = [t for t in tensors_of(batch)
             if t.shape == (count,) and t.dtype in (torch.int32, torch.int64)]
    return {int(t.sum()): t.tolist() for t in whole if count > 1 and int(t.min()) >= 0}


def _table_of_pairs(batch: Any, count: int) -> Tensor | None:
    """Return the tensor that holds a value for each pair of samples, (N, N); None if none does.

    Ranks, distances and the like: the same value for every sample with itself, beside inputs that
    have no second dimension of that length. Sequences as long as the batch and their masks do.
    """
    wide = [t for t in tensors_of(batch) if t.dim() > 1 and t.shape[0] == count]
    square = [t for t in wide if t.shape[1] == count]
    if count < _FEWEST_PAIRED or len(square) != 1 or len(wide) < 2 or square[0].dim() != 2:
        return None
    own = square[0].diagonal()
    return square[0] if bool((own == own[0]).all() & (square[0] != own[0]).any()) else None


def _holds_pairs(batch: Any) -> bool:
    return _table_of_pairs(batch, length(batch)) is not None


def concatenate(batches: Sequence[Any]) -> Any | None:
    """Return one batch that holds the samples of all, or None where they cannot be joined."""
    if len(batches) == 1:
        return batches[0]
    taken_apart = [graphs.graphs_of(batch) for batch in batches]
    if None not in taken_apart:
        return graphs.batch_of([one for each in taken_apart for one in each or ()], batches[0])
    if any(True for _ in _plain_lists(batches[0], length(batches[0]))):
        return None
    parts = [list(tensors_of(batch)) for batch in batches]
    lengths = [length(batch) for batch in batches]
    if any(map(_holds_pairs, batches)):
        return None
    if len({len(tensors) for tensors in parts}) != 1 or not parts[0]:
        return None
    joined: list[Tensor] = []
    for tensors in zip(*parts, strict=True):
        per_sample = all(t.dim() and t.shape[0] == n for t, n in zip(tensors, lengths, strict=True))
        if not per_sample or len({t.shape[1:] for t in tensors}) != 1:
            return None
        joined.append(torch.cat(tensors))
    replacements = iter(joined)
    return map_tensors(batches[0], lambda _: next(replacements))


def move(batch: Any, device: torch.device | str) -> Any:
    """Return the batch on a device; opaque batches are asked by their own `to`."""
    if next(tensors_of(batch), None) is None and hasattr(batch, "to"):
        return batch.to(device)
    return map_tensors(batch, lambda tensor: tensor.to(device))


def private(batch: Any) -> Any:
    """Return a copy that a training step may change in place without touching the original."""
    if next(tensors_of(batch), None) is None:
        return copy.deepcopy(batch)
    return map_tensors(batch, _own)


def _own(tensor: Tensor) -> Tensor:
    own = tensor.detach().clone()
    return own.requires_grad_() if tensor.requires_grad else own


def size_in_bytes(batch: Any) -> int:
    """Return what the tensors and arrays of the batch hold, also of one that is opaque to us."""
    return sum(_bytes_of(batch, _DEEPEST))


def _bytes_of(value: Any, deep: int) -> Iterator[int]:
    if isinstance(value, Tensor):
        yield value.numel() * value.element_size()
    elif isinstance(value, (np.ndarray, bytes, str)):
        yield value.nbytes if isinstance(value, np.ndarray) else len(value)
    elif deep:
        inner = (value.values() if isinstance(value, Mapping)
                 else value if isinstance(value, (list, tuple, set))
                 else getattr(value, "__dict__", {}).values())
        for item in inner:
            yield from _bytes_of(item, deep - 1)


def describe(batch: Any) -> str:
    """Return what a batch is made of, for messages: kinds, shapes and dtypes."""
    if isinstance(batch, Tensor):
        return f"{str(batch.dtype).removeprefix('torch.')} {tuple(batch.shape)}"
    if isinstance(batch, Mapping):
        return ", ".join(f"{key}: {describe(item)}" for key, item in batch.items())
    if isinstance(batch, (list, tuple)):
        return ", ".join(describe(item) for item in batch)
    return type(batch).__name__


def _same_mapping(batch: Mapping[Any, Any], items: dict[Any, Any]) -> Any:
    if type(batch) is dict:
        return items
    if not isinstance(batch, MutableMapping):
        return items
    changed = copy.copy(batch)
    for key, value in items.items():
        changed[key] = value
    return changed


def _plain_lists(batch: Any, count: int) -> Iterator[list[Any] | tuple[Any, ...]]:
    """Yield the lists of plain values (strings, numbers), one value a sample."""
    if isinstance(batch, Mapping):
        for item in batch.values():
            yield from _plain_lists(item, count)
    elif isinstance(batch, (list, tuple)):
        if _is_plain_list(batch, count):
            yield batch
        else:
            for item in batch:
                yield from _plain_lists(item, count)


def _is_plain_list(value: list[Any] | tuple[Any, ...], count: int) -> bool:
    return len(value) == count and not any(isinstance(v, (Tensor, Mapping, list)) for v in value)


def _choose_lists(batch: Any, index: list[int], count: int) -> Any:
    """Choose samples in lists of plain values (strings, numbers) that stand beside tensors."""
    if isinstance(batch, Mapping):
        return _same_mapping(batch, {k: _choose_lists(v, index, count) for k, v in batch.items()})
    if isinstance(batch, (list, tuple)) and not hasattr(batch, "_fields"):
        if _is_plain_list(batch, count):
            return type(batch)(batch[i] for i in index)
        return type(batch)(_choose_lists(item, index, count) for item in batch)
    return batch
