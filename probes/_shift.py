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
# One or two columns (a time, a counter) may well spread otherwise in a later part of the data.
_A_FEW = 3


class Shift(NamedTuple):
    """Differences beyond what sampling makes.

    Attributes:
        moved: Difference of the typical (median) feature's means in standard deviations.
        rescaled: Ratio of its standard deviations, at least 1.
        some_rescaled: What that ratio is for a quarter of the features and for three at least; not
            less than `rescaled`.
        larger: The validation values are the larger ones, by the larger one of these ratios.
    """

    moved: float
    rescaled: float
    some_rescaled: float
    larger: bool


def input_shift(train: Sequence[Tensor | None], val: Sequence[Tensor | None]) -> Shift | None:
    """Return the largest shifts of the float inputs, (N, ...) each; None if there are none."""
    shifts = [
        shift for a, b in zip(train, val, strict=False)
        if (shift := _shift_of(a, b)) is not None
    ]
    if not shifts:
        return None
    most = max(shifts, key=lambda s: s.some_rescaled)
    return Shift(max(s.moved for s in shifts), max(s.rescaled for s in shifts),
                 most.some_rescaled, most.larger)


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
    rows = [_finite(feature_rows(t, dim)) for t in (train, val)]
    if min(map(len, rows)) < 2:
        return None
    a, b = (part if channels else pulled_in(part) for part in rows)
    stds_a, stds_b = a.std(dim=0), b.std(dim=0)
    varying = (stds_a > 0) | (stds_b > 0)
    if not bool(varying.any()):
        return None
    pooled = ((stds_a.square() + stds_b.square()) / 2).sqrt()[varying]
    moved = (a.mean(dim=0) - b.mean(dim=0))[varying].abs() / pooled
    ratio = (stds_b.clamp(min=1e-30) / stds_a.clamp(min=1e-30))[varying].log()
    error = _ERRORS * math.sqrt(1 / train.shape[0] + 1 / val.shape[0])
    middle = float(ratio.median())
    # With the tails and without: neither a few wild values nor a few rare ones are another scale.
    both = (stds_a > 0) & (stds_b > 0)
    whole = (rows[1].std(dim=0) / rows[0].std(dim=0))[both].log()
    some = _of_a_quarter(ratio[both[varying]], whole)
    typical = _factor(abs(middle) - error)
    more = _factor(abs(some) - error)
    return Shift(max(float(moved.median()) - error, 0.0), typical, max(typical, more),
                 (some if more > typical else middle) > 0)


def _factor(decided: float) -> float:
    return math.exp(min(max(decided, 0.0), 60.0))


def _of_a_quarter(inner: Tensor, whole: Tensor) -> float:
    """Return the ratio that a quarter of the features, (F,) each, reach; 0 for a few features.

    Args:
        inner: Logarithms of the ratios without the tails.
        whole: With them; of the two the smaller one counts.
    """
    count = max(_A_FEW, math.ceil(len(inner) / 4))
    if len(inner) < count:
        return 0.0
    sizes = torch.where(inner * whole > 0, torch.minimum(inner.abs(), whole.abs()), 0.0)
    place = sizes.argsort(descending=True)[count - 1]
    return float(sizes[place] * inner[place].sign())


def _finite(rows: Tensor) -> Tensor:
    return rows[torch.isfinite(rows).all(dim=1)]
