"""How far the validation samples lie from the training samples, feature by feature."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from auditor.standardising import channel_dim

from ._features import feature_rows, pulled_in

# Standard errors that a difference has to exceed before any of it counts: many features are
# compared, and samples of one source are not independent.
_ERRORS = 4.0
# A single column (a time, a counter) may well spread otherwise.
_A_FEW = 2


class Shift(NamedTuple):
    """Differences of the typical (median) feature, beyond what sampling makes.

    Attributes:
        moved: Difference of the means in standard deviations.
        rescaled: Ratio of the standard deviations, at least 1.
        larger: The validation values are the larger ones.
        some_rescaled: What that ratio is for a quarter of the features at least, and for two.
    """

    moved: float
    rescaled: float
    larger: bool
    some_rescaled: float


def input_shift(train: Sequence[Tensor | None], val: Sequence[Tensor | None]) -> Shift | None:
    """Return the largest shift of the float inputs, (N, ...) each; None if none can be compared."""
    shifts = [
        shift for a, b in zip(train, val, strict=False)
        if (shift := _shift_of(a, b)) is not None
    ]
    return max(shifts, key=lambda s: max(s.moved, math.log(s.rescaled)), default=None)


def label_shift(train: Tensor, val: Tensor) -> float:
    """Return the total variation distance of two sets of labels, less what sampling makes.

    Args:
        train: (N,) class numbers.
        val: (M,) class numbers.
    """
    names = torch.unique(torch.cat([train, val]))
    shares = [torch.stack([(labels == name).double().mean() for name in names])
              for labels in (train, val)]
    distance = float((shares[0] - shares[1]).abs().sum()) / 2
    both = (shares[0] + shares[1]) / 2
    error = (both * (1 - both) * (1 / len(train) + 1 / len(val))).sqrt().sum() / 2
    return max(distance - _ERRORS * float(error) / math.sqrt(max(len(names), 1)), 0.0)


def _shift_of(train: Tensor | None, val: Tensor | None) -> Shift | None:
    if train is None or val is None or not train.is_floating_point() or train.dim() < 2:
        return None
    dim = channel_dim(train)
    if val.dim() != train.dim() or val.shape[dim] != train.shape[dim]:
        return None
    channels = train.dim() >= 4
    a, b = (_inner(feature_rows(t, dim), channels) for t in (train, val))
    if len(a) < 2 or len(b) < 2:
        return None
    stds_a, stds_b = a.std(dim=0), b.std(dim=0)
    varying = (stds_a > 0) | (stds_b > 0)
    if not bool(varying.any()):
        return None
    pooled = ((stds_a.square() + stds_b.square()) / 2).sqrt()[varying]
    moved = (a.mean(dim=0) - b.mean(dim=0))[varying].abs() / pooled
    ratio = (stds_b.clamp(min=1e-30) / stds_a.clamp(min=1e-30))[varying].log()
    error = _ERRORS * math.sqrt(1 / train.shape[0] + 1 / val.shape[0])
    middle = float(ratio.median())
    return Shift(
        max(float(moved.median()) - error, 0.0),
        _factor(abs(middle) - error),
        middle > 0,
        _factor(_of_a_quarter(ratio[(stds_a > 0)[varying] & (stds_b > 0)[varying]]) - error),
    )


def _factor(decided: float) -> float:
    return math.exp(min(max(decided, 0.0), 60.0))


def _of_a_quarter(ratio: Tensor) -> float:
    """Return what the sizes of a quarter of the ratios reach, (F,); 0 for a single one."""
    count = max(_A_FEW, math.ceil(len(ratio) / 4))
    if len(ratio) < count:
        return 0.0
    return float(ratio.abs().sort(descending=True).values[count - 1])


def _inner(rows: Tensor, channels: bool) -> Tensor:
    rows = rows[torch.isfinite(rows).all(dim=1)]
    return rows if channels or len(rows) < 2 else pulled_in(rows)
