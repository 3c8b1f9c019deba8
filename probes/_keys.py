"""One hash per sample, by which equal samples are found: of rows, sequences and graphs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from auditor import batches, graphs
from auditor.fields import fields_of

from ._copies import chance_of_equality, has_many_digits, hashes
from ._samples import Samples

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
        found: Keys = once(f"keys of graphs {counts}", lambda: _of_graphs(train, val))
        return found
    tensors = _columns(train)
    if tensors is None:
        return None
    others = _columns(val) if val is not None else None
    if others is not None and len(others) != len(tensors):
        others = None
    found = once(f"keys {counts}", lambda: _of_rows(*_filled_up(tensors, others)))
    return found


def _columns(samples: Samples) -> list[list[Tensor]] | None:
    """Return each input's tensors, one per batch; None where they are not one entry a sample."""
    parts = [batches.split(batch).inputs for batch in samples.batches]
    if not samples.separate or not parts or len({len(part) for part in parts}) != 1:
        return None
    return [list(column) for column in zip(*parts, strict=True)]


def _filled_up(
    train: Sequence[list[Tensor]], val: Sequence[list[Tensor]] | None,
) -> tuple[list[Tensor] | None, list[Tensor] | None]:
    """Return the columns as (N, ...) tensors; sequences are filled up to the longest of both sets.

    None instead of a set whose shapes differ otherwise. A filling counts as such by its value, so
    that what was filled up to another length before is the same sample.
    """
    joined: tuple[list[Tensor], list[Tensor]] = ([], [])
    for number, ours in enumerate(train):
        theirs = val[number] if val is not None else []
        if not _fit(ours):
            return None, None
        if not _fit([*ours, *theirs]):
            val = None
            theirs = []
        longest = max((t.shape[1] for t in (*ours, *theirs) if t.dim() > 1), default=0)
        filling = _filling(ours)
        joined[0].append(torch.cat([_longer(t, longest, filling) for t in ours]))
        if theirs:
            joined[1].append(torch.cat([_longer(t, longest, filling) for t in theirs]))
    return joined[0], joined[1] if val is not None else None


def _fit(tensors: Sequence[Tensor]) -> bool:
    """Tell whether tensors of one type differ in their lengths (N, T, ...) only."""
    return len({(t.dtype, t.dim(), t.shape[2:]) for t in tensors}) == 1


def _filling(tensors: Sequence[Tensor]) -> float:
    """Return the value in which most sequences of different lengths end."""
    ends = [t[:, -1].reshape(-1) for t in tensors if t.dim() == 2 and t.shape[1]]
    if not ends:
        return 0.0
    values, counts = torch.unique(torch.cat(ends), return_counts=True)
    return float(values[counts.argmax()])


def _longer(tensor: Tensor, length: int, filling: float) -> Tensor:
    missing = length - tensor.shape[1] if tensor.dim() > 1 else 0
    if not missing:
        return tensor.detach()
    sides = [0, 0] * (tensor.dim() - 2) + [0, missing]
    if tensor.dtype == torch.bool:
        return F.pad(tensor.detach().to(torch.uint8), sides, value=filling).bool()
    return F.pad(tensor.detach(), sides, value=filling)


def _of_rows(train: list[Tensor] | None, val: list[Tensor] | None) -> Keys | None:
    if train is None:
        return None
    keys = hashes(train)
    return Keys(keys, hashes(val) if val is not None else None, chance_of_equality(train, keys),
                not any(t.is_floating_point() for t in train))


def _are_graphs(samples: Samples) -> bool:
    return bool(samples.batches) and all(map(graphs.are_graphs, samples.batches))


def _of_graphs(train: Samples, val: Samples | None) -> Keys:
    keys = graph_keys(train.batches)
    is_numeric = _have_numbers_of_their_own(train, keys)
    others = graph_keys(val.batches) if val is not None and _are_graphs(val) else None
    return Keys(keys, others, 0.0 if is_numeric else 1.0, not is_numeric)


def _fields(read: Sequence[Any]) -> Iterator[dict[str, Tensor]]:
    for batch in read:
        for graph in graphs.graphs_of(batch):
            yield {name: value.detach() for name, value in sorted(fields_of(graph).items())}


def graph_keys(read: Sequence[Any]) -> list[bytes]:
    """Return the hash of each graph of some batches, with its target."""
    keys = []
    for fields in _fields(read):
        digest = hashlib.blake2b(digest_size=12)
        for name, value in fields.items():
            digest.update(f"{name} {tuple(value.shape)}".encode())
            digest.update(value.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        keys.append(digest.digest())
    return keys


def _have_numbers_of_their_own(samples: Samples, keys: Sequence[bytes]) -> bool:
    """Tell whether a field holds real numbers that hardly ever come back in another graph."""
    different = set({key: place for place, key in reversed(list(enumerate(keys)))}.values())
    seen: dict[str, list[Tensor]] = {}
    looked_at = 0
    for place, fields in enumerate(_fields(samples.batches)):
        if place not in different:
            continue
        looked_at += 1
        for name, value in fields.items():
            if value.is_floating_point():
                seen.setdefault(name, []).append(value.reshape(-1))
        if looked_at == _LOOKED_AT:
            break
    return looked_at > 1 and any(_differ(torch.cat(values)) for values in seen.values())


def _differ(values: Tensor) -> bool:
    distinct = torch.unique(values)
    return distinct.numel() >= _ALL_DIFFERENT * values.numel() > 1 and has_many_digits(distinct)
