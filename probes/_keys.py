"""One hash per sample, by which equal samples are found: of rows, sequences and graphs."""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from auditor import batches
from auditor.fields import whole_of
from auditor.graphs import graphs_of

from ._copies import chance_of_equality, has_many_digits, hashes, is_blank
from ._samples import BYTES, Samples, inputs_of

# Different graphs whose numbers are looked at, and the part of these that comes once, at least.
_LOOKED_AT, _ALL_DIFFERENT = 100, 0.5


@dataclass(frozen=True)
class Keys:
    """The hashes of two sets of samples.

    Attributes:
        train: Of each training sample; empty for blank ones, which are equal by nature.
        val: Of each validation sample; None where these are of another kind, or there are none.
        chance: How likely two different draws are equal.
        discrete: The samples hold whole numbers only.
    """

    train: list[bytes]
    val: list[bytes] | None
    chance: float
    discrete: bool


def keys_of(
    train: Samples, val: Samples | None, once: Callable[[str, Callable[[], Any]], Any],
) -> Keys | None:
    """Return the keys of the samples; None where these are no rows, sequences or graphs.

    Args:
        train: Training samples.
        val: Validation samples.
        once: Remembers what was computed, by name.
    """
    counts = f"{train.count}, {val.count if val else 0}"
    if _are_graphs(train):
        found: Keys | None = once(f"keys of graphs {counts}", lambda: _of_graphs(train, val))
        return found
    tensors = _columns(train)
    if tensors is None:
        return None
    others = _columns(val) if val is not None else None
    if others is not None and len(others) != len(tensors):
        others = None
    rows: Keys | None = once(f"keys {counts}", lambda: _of_rows(tensors, others))
    return rows


def _columns(samples: Samples) -> list[list[Tensor]] | None:
    """Return each input's tensors, one per batch or joined; None where they are not separate."""
    parts = [inputs_of(part, size)
             for part, size in zip(samples.parts, samples.sizes, strict=True)]
    if not samples.separate or not parts or len({len(part) for part in parts}) != 1:
        return None
    # What has been joined already is not copied again.
    return [list(column) if joined is None else [joined]
            for column, joined in zip(zip(*parts, strict=True), samples.inputs, strict=True)]


def _of_rows(
    train: Sequence[list[Tensor]], val: Sequence[list[Tensor]] | None,
) -> Keys | None:
    """Return the keys of columns; sequences are filled up to the longest of both sets first.

    None where the shapes differ otherwise, or the longest would make all of them too large.
    """
    if val is not None and not all(map(_fit, map(operator.add, train, val))):
        val = None
    if not all(map(_fit, train)):
        return None
    fillings = [_filling(ours) for ours in train]
    both = [[*ours, *theirs] for ours, theirs in zip(train, val or [[]] * len(train), strict=True)]
    lengths = [max((t.shape[1] for t in tensors if t.dim() > 1), default=0) for tensors in both]
    if sum(_bytes(t, length) for tensors, length in zip(both, lengths, strict=True)
           for t in tensors) > 2 * BYTES:
        return None
    ours = _joined(train, lengths, fillings)
    keys = hashes(ours, _blank(train))
    others = None if val is None else hashes(_joined(val, lengths, fillings), _blank(val))
    return Keys(keys, others, chance_of_equality(ours, keys),
                not any(t.is_floating_point() for t in ours))


def _joined(
    columns: Sequence[list[Tensor]], lengths: Sequence[int], fillings: Sequence[float],
) -> list[Tensor]:
    longer = [[_longer(t, length, filling) for t in tensors]
              for tensors, length, filling in zip(columns, lengths, fillings, strict=True)]
    return [parts[0] if len(parts) == 1 else torch.cat(parts) for parts in longer]


def _blank(columns: Sequence[list[Tensor]]) -> Tensor:
    """Return which samples, (N,), hold a single value in each column, as they came."""
    by_column = [torch.cat([is_blank(t) for t in tensors]) for tensors in columns]
    return torch.stack(by_column).all(dim=0)


def _bytes(tensor: Tensor, length: int) -> int:
    return tensor.element_size() * tensor.numel() * length // max(
        tensor.shape[1] if tensor.dim() > 1 else length, 1)


def _fit(tensors: Sequence[Tensor]) -> bool:
    """Tell whether tensors of one type differ in their lengths (N, T, ...) only."""
    return len({(t.dtype, t.dim(), t.shape[2:]) for t in tensors}) == 1


def _filling(tensors: Sequence[Tensor]) -> float:
    """Return the value in which most sequences of different lengths end; 0 for masks."""
    if len({t.shape[1:] for t in tensors}) < 2 or any(
            t.dim() != 2 or t.is_floating_point() or t.is_complex() for t in tensors):
        return 0.0
    if all(t.numel() == 0 or (int(t.min()) >= 0 and int(t.max()) <= 1) for t in tensors):
        return 0.0
    values, counts = torch.unique(
        torch.cat([t[:, -1] for t in tensors if t.shape[1]]), return_counts=True)
    return float(values[counts.argmax()])


def _longer(tensor: Tensor, length: int, filling: float) -> Tensor:
    missing = length - tensor.shape[1] if tensor.dim() > 1 else 0
    if not missing:
        return tensor.detach()
    sides = [0, 0] * (tensor.dim() - 2) + [0, missing]
    if tensor.dtype == torch.bool:
        return F.pad(tensor.detach().to(torch.uint8), sides, value=filling).bool()
    return F.pad(tensor.detach(), sides, value=filling)


def _are_graphs(samples: Samples) -> bool:
    kinds = {type(batch) for batch in samples.batches}
    return len(kinds) == 1 and graphs_of(samples.batches[0]) is not None


def _of_graphs(train: Samples, val: Samples | None) -> Keys | None:
    keys = graph_keys(train.batches)
    if keys is None:
        return None
    is_numeric = _have_numbers_of_their_own(train, keys)
    others = graph_keys(val.batches) if val is not None and _are_graphs(val) else None
    return Keys(keys, others, 0.0 if is_numeric else 1.0, not is_numeric)


def _fields(read: Sequence[Any]) -> Iterator[dict[str, Tensor] | None]:
    for batch in read:
        for graph in graphs_of(batch) or ():
            yield whole_of(graph)


def graph_keys(read: Sequence[Any], *, targets: bool = True) -> list[bytes] | None:
    """Return the hash of each graph of some batches; None where a field is no dense tensor.

    Args:
        read: Batches of graphs.
        targets: They count, too.
    """
    keys = []
    for fields in _fields(read):
        if fields is None:
            return None
        digest = hashlib.blake2b(digest_size=12)
        for name, value in sorted(fields.items()):
            if targets or name not in batches.TARGET_KEYS:
                raw = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
                digest.update(f"{name} {tuple(value.shape)}".encode() + raw.tobytes())
        keys.append(digest.digest())
    return keys


def _have_numbers_of_their_own(samples: Samples, keys: Sequence[bytes]) -> bool:
    """Tell whether a field holds real numbers that hardly ever come back in another graph."""
    different = set({key: place for place, key in reversed(list(enumerate(keys)))}.values())
    seen: dict[str, list[Tensor]] = {}
    looked_at = 0
    for place, fields in enumerate(_fields(samples.batches)):
        if place not in different or fields is None:
            continue
        looked_at += 1
        for name, value in fields.items():
            if value.is_floating_point():
                seen.setdefault(name, []).append(value.detach().reshape(-1))
        if looked_at == _LOOKED_AT:
            break
    return looked_at > 1 and any(_differ(torch.cat(values)) for values in seen.values())


def _differ(values: Tensor) -> bool:
    distinct = torch.unique(values)
    return distinct.numel() >= _ALL_DIFFERENT * values.numel() > 1 and has_many_digits(distinct)
