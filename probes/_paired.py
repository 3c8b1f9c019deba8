"""Paired comparisons of losses, so that no difference inside the noise is reported."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple


class Paired(NamedTuple):
    """How much larger the first values are than the second ones.

    Attributes:
        mean: Mean difference.
        spread: Standard deviation of the differences; NaN for a single pair.
        p: One-sided: how likely so large a difference is when there is none; 1 for a single pair.
        pairs: How many.
    """

    mean: float
    spread: float
    p: float
    pairs: int


def paired(larger: Sequence[float], smaller: Sequence[float]) -> Paired:
    """Test by Student's paired t whether `larger` exceeds `smaller`, pair by pair.

    A non-finite value in `larger` counts as infinitely large, in `smaller` as not exceeded.
    """
    differences = [_difference(a, b) for a, b in zip(larger, smaller, strict=True)]
    count = len(differences)
    if any(math.isinf(d) for d in differences):
        if not all(d > 0 for d in differences):
            return Paired(math.nan, math.nan, 1.0, count)
        # The sign test: what is infinite has no t.
        return Paired(math.inf, math.nan, 0.5**count, count)
    mean = sum(differences) / count if count else math.nan
    if count < 2:
        return Paired(mean, math.nan, 1.0, count)
    spread = math.sqrt(sum((d - mean) ** 2 for d in differences) / (count - 1))
    if spread == 0:
        return Paired(mean, 0.0, 0.0 if mean > 0 else 1.0, count)
    # scipy.stats takes a second to import; its special functions a third of that.
    from scipy.special import stdtr

    return Paired(mean, spread, float(stdtr(count - 1, -mean / spread * math.sqrt(count))), count)


def _difference(larger: float, smaller: float) -> float:
    if not math.isfinite(smaller):
        return -math.inf
    return larger - smaller if math.isfinite(larger) else math.inf
