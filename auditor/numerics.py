"""Pure statistics of short curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, pvariance


def fall_in_sigmas(values: Sequence[float]) -> float:
    """Return the fall from the first to the last third of a curve over its own noise.

    The mean of the first third minus that of the last third, over the standard error of this
    difference as the scatter inside the thirds gives it. Positive for a falling curve; infinite
    for a fall without noise; 0 for a constant; NaN below six values or when one is not finite.
    """
    third = len(values) // 3
    if third < 2 or not all(map(math.isfinite, values)):
        return math.nan
    first, last = values[:third], values[-third:]
    fall = fmean(first) - fmean(last)
    error = math.sqrt((pvariance(first) + pvariance(last)) / (third - 1))
    if error == 0:
        return math.copysign(math.inf, fall) if fall else 0.0
    return fall / error


def peak_over_first(values: Sequence[float]) -> float:
    """Return how far a curve rises above its first value, relative to that; 1 where it does not.

    A curve that falls from near zero (logarithms, decibels) is measured by its fall. Infinite when
    a later value is not finite; NaN for an empty curve or one whose first value is zero or not
    finite.
    """
    if not values or not math.isfinite(values[0]) or values[0] == 0:
        return math.nan
    if not all(map(math.isfinite, values)):
        return math.inf
    scale = max(abs(values[0]), values[0] - min(values))
    return 1.0 + (max(values) - values[0]) / scale
