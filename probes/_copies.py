"""Exact copies of samples, inside one set and across two, and how many chance would make."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# Of the bits that the columns would hold if they were independent, this part is counted: real
# columns repeat each other.
_INDEPENDENT = 0.4
_COLUMNS = 256
_ROWS = 2000
# An endless loader starts again: from there on nearly everything has been seen before.
_AGAIN = 0.95


@dataclass(frozen=True)
class Copies:
    """Copies inside one set of samples.

    Attributes:
        count: Samples looked at.
        copies: Of those, samples that equal an earlier one.
        conflicts: Samples whose input also stands with another target.
        examples: Indices of a few pairs of equal samples.
    """

    count: int
    copies: int
    conflicts: int
    examples: tuple[tuple[int, int], ...]


def hashes(tensors: Sequence[Tensor]) -> list[bytes]:
    """Return one hash per sample of (N, ...) tensors; empty for blank samples.

    Blank means that all values of the sample are the same: such samples are equal by nature.
    """
    flat = [t.detach().cpu().contiguous().reshape(t.shape[0], -1) for t in tensors]
    blank = torch.stack([(t == t[:, :1]).all(dim=1) for t in flat]).all(dim=0).tolist()
    raw = [t.view(torch.uint8).numpy() for t in flat]
    found = []
    for index, nothing in enumerate(blank):
        digest = hashlib.blake2b(digest_size=12)
        for rows in raw:
            digest.update(rows[index].tobytes())
        found.append(b"" if nothing else digest.digest())
    return found


def first_epoch(keys: Sequence[bytes]) -> int:
    """Return after how many samples a stream starts again from the beginning; all if it does not.

    Everything before must be new, and nearly everything after must have been seen.
    """
    seen: set[bytes] = set()
    for index, key in enumerate(keys):
        if key and key in seen:
            known = sum(later in seen or not later for later in keys[index:])
            return index if known >= _AGAIN * (len(keys) - index) else len(keys)
        seen.add(key)
    return len(keys)


def copies_in(keys: Sequence[bytes], targets: Sequence[bytes] | None) -> Copies:
    """Return the copies among samples, given their hashes and those of their targets."""
    places: dict[bytes, list[int]] = defaultdict(list)
    for index, key in enumerate(keys):
        if key:
            places[key].append(index)
    groups = [group for group in places.values() if len(group) > 1]
    conflicting = [
        group for group in groups if targets and len({targets[i] for i in group}) > 1
    ]
    shown = conflicting or groups
    return Copies(
        len(keys), sum(len(group) - 1 for group in groups), sum(map(len, conflicting)),
        tuple((group[0], group[1]) for group in shown[:5]),
    )


def chance_of_equality(tensors: Sequence[Tensor], keys: Sequence[bytes]) -> float:
    """Return about how likely two different draws are equal, from the values in the columns.

    Equal rows have equal columns, so the rarest coincidence of a column is a bound; the product
    over the columns would be the chance if these were independent. Copies do not count.
    """
    distinct = list({key: i for i, key in enumerate(keys)}.values())[:_ROWS]
    if len(distinct) < 2:
        return 1.0
    rows = torch.cat([t.detach().cpu().reshape(t.shape[0], -1)[distinct].double()
                      for t in tensors], dim=1)
    stride = max(rows.shape[1] // _COLUMNS, 1)
    chances = [_coincidence(column) for column in rows[:, ::stride].T]
    logs = [math.log(chance) for chance in chances]
    return math.exp(min(min(logs), _INDEPENDENT * sum(logs) * rows.shape[1] / len(logs)))


def found_in_other(keys: Sequence[bytes], others: Sequence[bytes]) -> list[int]:
    """Return the positions of those samples that also stand in the other set."""
    known = set(others) - {b""}
    return [index for index, key in enumerate(keys) if key in known]


def share_interval(found: int, looked_at: int, coverage: float) -> tuple[float, float, float]:
    """Return the estimated share of copies and its 95 % interval.

    Args:
        found: Copies found, taken as a Poisson count.
        looked_at: Samples that were looked up.
        coverage: Share of the other set in which they were looked up.
    """
    # Imported late: it takes a third of a second.
    from scipy import special

    low = special.gammaincinv(found, 0.025) if found else 0.0
    high = special.gammaincinv(found + 1, 0.975)
    scale = 1 / max(looked_at * coverage, 1e-12)
    estimate, lower, upper = (min(float(v) * scale, 1.0) for v in (found, low, high))
    return estimate, lower, upper


def _coincidence(column: Tensor) -> float:
    """Return the share of pairs of entries that are equal; half a pair when there is none."""
    count = column.numel()
    pairs = count * (count - 1) / 2
    _, sizes = torch.unique(column, return_counts=True)
    equal = float((sizes.double() * (sizes.double() - 1) / 2).sum())
    return min(max(equal, 0.5) / pairs, 1.0)
