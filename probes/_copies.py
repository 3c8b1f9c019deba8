"""Exact copies of samples, inside one set and across two, and how many chance would make."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# Of the bits that the columns would hold if they were independent, this part is counted: real
# columns repeat each other.
_INDEPENDENT = 0.4
_COLUMNS = 256
# Inputs that know fewer values than these (masks, drawn shapes) repeat themselves by nature.
_FEW_LEVELS = 8
# Numbers with fewer digits behind the point than this come from a scale that repeats itself.
_DIGITS = 3
_ENOUGH = 50
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


def is_blank(tensor: Tensor) -> Tensor:
    """Return which samples, (N,), of (N, ...) hold a single value: these are equal by nature.

    NaN is no value of its own.
    """
    flat = tensor.detach().cpu().reshape(tensor.shape[0], -1)
    return ((flat == flat[:, :1]) | (flat != flat)).all(dim=1)


def hashes(tensors: Sequence[Tensor], blank: Tensor) -> list[bytes]:
    """Return one hash per sample of (N, ...) tensors; empty for blank samples, (N,)."""
    flat = [t.detach().cpu().contiguous().reshape(t.shape[0], -1) for t in tensors]
    raw = [t.view(torch.uint8).numpy() for t in flat]
    found = []
    for index, nothing in enumerate(blank.tolist()):
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
    """Return about how likely two different draws are equal; 1 where the inputs are flags only.

    Rows of several columns of which one is continuous are equal only if they were copied. Else the
    larger of two estimates from the samples without their copies. By columns: equal rows have
    equal columns, so the rarest coincidence of a column is a bound, and the product over the
    columns would be the chance if these were independent. By sequence, for tokens: the product
    of the coincidences of each token after the two before it.
    """
    distinct = list({key: i for i, key in enumerate(keys)}.values())[:_ROWS]
    if len(distinct) < 2:
        return 1.0
    flat = [t.detach().cpu()[distinct].reshape(len(distinct), -1) for t in tensors]
    rows = torch.cat([t.double() for t in flat], dim=1)
    stride = max(rows.shape[1] // _COLUMNS, 1)
    columns = list(rows[:, ::stride].T)
    sizes = [torch.unique(column, return_counts=True)[1] for column in columns]
    if max(levels.numel() for levels in sizes) <= _FEW_LEVELS:
        return 1.0
    if len(columns) > 1 and any(map(_is_continuous, columns, sizes)):
        return 0.0
    logs = [math.log(_coincidence(levels)) for levels in sizes]
    by_columns = min(min(logs), _INDEPENDENT * sum(logs) * rows.shape[1] / len(logs))
    tokens = [t for t in flat if not t.is_floating_point()]
    if len(tokens) < len(flat):
        return math.exp(by_columns)
    by_sequence = sum(map(_sequence_logs, tokens), torch.zeros(len(distinct)))
    return max(math.exp(by_columns), float(by_sequence.exp().mean()))


def twins(keys: Sequence[bytes]) -> float:
    """Return the share of samples that have an equal one in the same set."""
    counts = Counter(key for key in keys if key)
    return sum(count for count in counts.values() if count > 1) / max(len(keys), 1)


def _sequence_logs(tokens: Tensor) -> Tensor:
    """Return the log chance of each row, (N,), of (N, T) tokens, from what follows two tokens."""
    tokens = torch.unique(tokens, return_inverse=True)[1]
    size = int(tokens.max()) + 1
    total = torch.zeros(tokens.shape[0])
    for before in (0, 1, 2):
        ahead = tokens[:, before:] if before == 2 else tokens[:, before : before + 1]
        if not ahead.numel():
            continue
        context = torch.zeros_like(ahead)
        for back in range(1, before + 1):
            start = before - back
            context = context * size + tokens[:, start : start + ahead.shape[1]]
        total += _coincidence_after(context, ahead, size).log().sum(dim=1)
    return total


def _coincidence_after(context: Tensor, token: Tensor, size: int) -> Tensor:
    """Return how likely two tokens after the same context are equal, for each position."""
    group = torch.unique(context.reshape(-1), return_inverse=True)[1]
    count = int(group.max()) + 1
    pair = torch.unique(group * size + token.reshape(-1), return_counts=True)
    equal = torch.zeros(count).index_add_(
        0, pair[0] // size, (pair[1] * (pair[1] - 1)).float())
    occurrences = torch.bincount(group, minlength=count).float()
    pairs = occurrences * (occurrences - 1)
    # A context that was seen once has taught nothing: it is taken for an average one.
    usual = max(float(equal.sum() / pairs.sum().clamp(min=1)), 1 / size)
    return ((equal + usual) / (pairs + 1))[group].reshape(token.shape)


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


def _is_continuous(column: Tensor, sizes: Tensor) -> bool:
    """Tell whether no value of a column comes back, and most have many digits.

    Args:
        column: (N,) values.
        sizes: How often each different value is there.
    """
    if column.numel() < _ENOUGH or sizes.numel() < column.numel():
        return False
    return has_many_digits(column)


def has_many_digits(values: Tensor) -> bool:
    """Tell whether most of (N,) values have more digits behind the point than a scale would."""
    scaled = values.double() * 10**_DIGITS
    # Of numbers with many digits few lie near the grid by chance.
    return float(((scaled - scaled.round()).abs() > 0.05).double().mean()) > 0.5


def _coincidence(sizes: Tensor) -> float:
    """Return the share of pairs of entries that are equal; half a pair when there is none.

    Args:
        sizes: How often each different value is there.
    """
    count = int(sizes.sum())
    pairs = count * (count - 1) / 2
    equal = float((sizes.double() * (sizes.double() - 1) / 2).sum())
    return min(max(equal, 0.5) / pairs, 1.0)
