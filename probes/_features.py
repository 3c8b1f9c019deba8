"""Features of input tensors: where they lie, their scale, and which of them never vary."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from auditor.spread import spread_sample

ROWS = 2048
COLUMNS = 1024
# Share of the values on each side that count as no further out than the next: outliers and rare
# events say nothing about the scale of a feature.
TAIL = 0.05
_FEWEST_LEVELS = 10


@dataclass(frozen=True)
class Scale:
    """How large the features of one tensor are.

    Attributes:
        means: (F,) means of the features.
        stds: (F,) standard deviations.
        sizes: (F,) root mean squares.
        ranges: (F,) largest minus smallest value.
        largest: Largest absolute value.
        levelled: (F,) True for features of hardly any different values (flags, counts).
        kind: "channel" or "column".
    """

    means: Tensor
    stds: Tensor
    sizes: Tensor
    ranges: Tensor
    largest: float
    levelled: Tensor
    kind: str

    @property
    def spread(self) -> float:
        """Largest over smallest standard deviation of the features that vary over a scale."""
        varying = self.stds[(self.stds > 0) & ~self.levelled]
        return float(varying.max() / varying.min()) if varying.numel() > 1 else 1.0


def feature_rows(tensor: Tensor, dim: int) -> Tensor:
    """Return (R, F) float values: features along `dim` as columns, at most ROWS by COLUMNS."""
    if tensor.dim() == 1:
        return spread_sample(tensor, ROWS).float().unsqueeze(1)
    rows = tensor.movedim(dim, -1).reshape(-1, tensor.shape[dim])
    rows = _every(rows, ROWS, 0)
    return _every(rows, COLUMNS, 1).float()


def scale_of(rows: Tensor, *, channels: bool) -> Scale | None:
    """Return the scale of (R, F) values, None where nothing varies; rows with NaN are left out.

    The tails of columns are pulled in, those of image channels are not: a channel has no outliers.
    """
    rows = rows[torch.isfinite(rows).all(dim=1)]
    if rows.shape[0] < 2 or not rows.shape[1]:
        return None
    inner = rows if channels else pulled_in(rows)
    means = inner.mean(dim=0)
    stds = inner.std(dim=0, unbiased=False)
    # Of a constant column rounding leaves a spread of its own.
    stds = torch.where(stds > 1e-6 * means.abs(), stds, torch.zeros_like(stds))
    if not bool((rows != rows[:1]).any()):
        return None
    levels = (inner.sort(dim=0).values.diff(dim=0) > 0).sum(dim=0) + 1
    return Scale(
        means, stds, (means.square() + stds.square()).sqrt(),
        rows.amax(dim=0) - rows.amin(dim=0), float(rows.abs().max()), levels < _FEWEST_LEVELS,
        "channel" if channels else "column",
    )


def pulled_in(rows: Tensor) -> Tensor:
    """Return (R, F) values with the tails of every column set to its outer quantiles."""
    count = rows.shape[0]
    ordered = rows.sort(dim=0).values
    out = int(TAIL * (count - 1))
    return rows.clamp(ordered[out], ordered[count - 1 - out])


def constant_share(inputs: Sequence[Tensor]) -> float:
    """Return the share of input elements that are the same in all samples, (N, ...) each."""
    constant = total = 0
    for tensor in inputs:
        flat = tensor.reshape(tensor.shape[0], -1)
        constant += int((flat.amax(dim=0) == flat.amin(dim=0)).sum())
        total += flat.shape[1]
    return constant / total if total else 0.0


def constant_columns(table: Tensor) -> list[int]:
    """Return the columns of an (N, F) table that never vary."""
    return torch.nonzero(table.amax(dim=0) == table.amin(dim=0)).flatten().tolist()


def conditioning(table: Tensor) -> tuple[float, int] | None:
    """Return how correlated the columns of an (N, F) table are.

    Returns:
        The condition number of the correlation matrix of the columns that vary (infinity when
        some are exact combinations of others), and how many principal components hold 99 % of
        the variance. None for fewer than two such columns.
    """
    rows = table.double()
    rows = rows[torch.isfinite(rows).all(dim=1)]
    if rows.shape[0] < 2:
        return None
    stds = rows.std(dim=0)
    rows = rows[:, stds > 1e-9 * rows.abs().amax(dim=0)]
    if rows.shape[1] < 2:
        return None
    rows = (rows - rows.mean(dim=0)) / rows.std(dim=0)
    values = torch.linalg.eigvalsh(rows.T @ rows / (rows.shape[0] - 1)).flip(0)
    smallest = float(values[-1])
    condition = float(values[0]) / smallest if smallest > 1e-12 * float(values[0]) else math.inf
    held = values.clamp(min=0).cumsum(0) / values.clamp(min=0).sum()
    return condition, int((held < 0.99).sum()) + 1


def _every(rows: Tensor, most: int, dim: int) -> Tensor:
    size = rows.shape[dim]
    if size <= most:
        return rows
    stride = size // most
    while math.gcd(stride, size) != 1:
        stride -= 1
    index = torch.arange(most, device=rows.device) * max(stride, 1)
    return rows.index_select(dim, index)
