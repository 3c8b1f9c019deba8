"""The samples that the data probes look at: batches read once, taken apart and joined."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from auditor import batches
from auditor.batches import Parts, Place
from auditor.probe import ProbeContext

# What is read at most; statistics of shares are within a percent long before.
SAMPLES = 8000
BYTES = 128 << 20
SECONDS = 2.0

Drawing: TypeAlias = Literal["in order", "shuffled", "with repeats", "by its own sampler", "stream"]


@dataclass(frozen=True)
class Samples:
    """What was read of one loader.

    Attributes:
        batches: As they came.
        sizes: Samples in each.
        exhausted: This is all there is.
        inputs: One (N, ...) tensor per input, in order; None where the batches' shapes differ.
        target: (N, ...) likewise; None where there is none or it cannot be joined.
        separate: Every input has one entry per sample, so that samples can be compared.
        place: Of the target in a batch, where it stands in an unusual one.
    """

    batches: Sequence[Any]
    sizes: tuple[int, ...]
    exhausted: bool
    inputs: tuple[Tensor | None, ...]
    target: Tensor | None
    separate: bool
    place: Place | None = None

    @property
    def parts(self) -> list[Parts]:
        """Each batch, taken apart."""
        return [_parts(batch, self.place) for batch in self.batches]

    @property
    def count(self) -> int:
        """Number of samples."""
        return sum(self.sizes)


def training_samples(context: ProbeContext) -> Samples:
    """Return the samples of the first part of the shared pass over the training loader."""
    opened = context.batches.training_pass
    read = _read(context.batches.train, context)
    return _taken_apart(read, opened.exhausted)


def validation_samples(context: ProbeContext) -> Samples | None:
    """Return the validation samples that are read; None without a validation loader."""
    read = _read(context.batches.val, context)
    return _taken_apart(read, context.batches.val_exhausted) if read else None


def with_target_at(samples: Samples, place: Place) -> Samples:
    """Return the samples with the tensor at this place of each batch as their target."""
    return _taken_apart(samples.batches, samples.exhausted, place)


def drawing(loader: Any) -> Drawing:
    """Return how a loader draws its samples."""
    if not isinstance(loader, DataLoader) or loader.batch_sampler is None:
        return "stream"
    if isinstance(loader.dataset, torch.utils.data.IterableDataset):
        return "stream"
    sampler = loader.sampler
    if type(loader.batch_sampler) is not BatchSampler:
        return "by its own sampler"
    if isinstance(sampler, WeightedRandomSampler) or getattr(sampler, "replacement", False):
        return "with repeats"
    if isinstance(sampler, (RandomSampler, SubsetRandomSampler)):
        return "shuffled"
    return "in order" if isinstance(sampler, SequentialSampler) else "by its own sampler"


def size_of(loader: Any) -> int | None:
    """Return how many samples a loader's data set holds; None where it does not say."""
    dataset = getattr(loader, "dataset", None)
    try:
        return len(dataset)  # type: ignore[arg-type]
    except TypeError:
        return None


def _read(take: Callable[[int], list[Any]], context: ProbeContext) -> list[Any]:
    begin = time.monotonic()
    count = 8
    while True:
        read = take(count)
        samples = sum(batches.length(batch) for batch in read)
        size = sum(batches.size_in_bytes(batch) for batch in read)
        late = time.monotonic() - begin > SECONDS or context.seconds_left() < 0
        if len(read) < count or samples >= SAMPLES or size >= BYTES or late:
            return read
        enough = -(-SAMPLES * len(read) // max(samples, 1)) + 1
        count = min(2 * count, max(enough, count + 1))


def _taken_apart(read: Sequence[Any], exhausted: bool, place: Place | None = None) -> Samples:
    parts = [_parts(batch, place) for batch in read]
    sizes = tuple(batches.length(batch) for batch in read)
    columns = list(zip(*(part.inputs for part in parts), strict=False))
    targets = [part.target for part in parts]
    return Samples(
        batches=read,
        sizes=sizes,
        exhausted=exhausted,
        inputs=tuple(_joined(column, sizes) for column in columns),
        target=_joined(targets, sizes),
        separate=_are_separate(list(zip(parts, sizes, strict=True))),
        place=place,
    )


def _parts(batch: Any, place: Place | None) -> Parts:
    found = {} if place is None else dict(batches.places_of(batch))
    # Validation batches may hold other things.
    if place not in found:
        return batches.split(batch)
    target = found.pop(place)
    return Parts(tuple(found.values()), {}, target)


def _joined(tensors: Sequence[Any], sizes: Sequence[int]) -> Tensor | None:
    """Return the tensors one behind the other, or None where they are not one entry a sample."""
    for tensor, size in zip(tensors, sizes, strict=True):
        if not isinstance(tensor, Tensor) or not tensor.dim() or tensor.shape[0] != size:
            return None
        if not batches.is_dense(tensor):
            return None
    if not tensors or len({(t.shape[1:], t.dtype) for t in tensors}) != 1:
        return None
    return torch.cat(list(tensors)).detach()


def inputs_of(part: Parts, size: int) -> list[Tensor]:
    """Return the inputs; what holds all samples' values end to end is taken apart, (N, longest).

    Transcripts for a CTC loss come so: (sum of lengths,), with the lengths, (N,), beside them.
    """
    lengths = [t for t in batches.tensors_of((part.args, part.kwargs, part.target))
               if t.dim() == 1 and t.shape[0] == size and t.dtype in (torch.int32, torch.int64)]
    totals = {int(t.sum()): t.tolist() for t in lengths if bool((t >= 0).all())}
    return [pad_sequence(list(torch.split(t, totals[t.shape[0]])), batch_first=True)
            if t.dim() == 1 and t.shape[0] != size and t.shape[0] in totals else t
            for t in part.inputs]


def _are_separate(taken: Sequence[tuple[Parts, int]]) -> bool:
    """Tell whether the batches are lists of samples, not graphs or grids with masks over them.

    Args:
        taken: Each batch, taken apart, with its number of samples.
    """
    lists, graphs = [], []
    for part, size in taken:
        inputs = inputs_of(part, size)
        lists.append(_is_list(inputs, size))
        graphs.append(_has_adjacency(inputs, size))
    # One batch alone may have as many samples as its sequences are long.
    return all(lists) and not (graphs and all(graphs))


def _is_list(inputs: Sequence[Tensor], size: int) -> bool:
    if not inputs or any(
            t.dim() == 0 or t.shape[0] != size or not batches.is_dense(t) for t in inputs):
        return False
    return not any(t.dtype == torch.bool and t.dim() == 1 for t in inputs)


def _has_adjacency(inputs: Sequence[Tensor], size: int) -> bool:
    """Tell whether a table of all pairs of samples stands beside what each sample has."""
    square = [t.dim() == 2 and t.shape == (size, size) for t in inputs]
    # Tokens and their masks may all be square.
    are_sequences = all(square) and not any(t.is_floating_point() for t in inputs)
    return len(inputs) > 1 and any(square) and not are_sequences
