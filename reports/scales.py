"""Linear and logarithmic axes: where a value stands, and which values get a tick."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .wording import number

# Differences and ratios of values within these bounds do not overflow.
_LARGEST, _SMALLEST = 1e150, 1e-150
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_NICE_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_TICKS = 6
_DECADES_FOR_POWERS = 2.5
# A spread above this is read on a log axis: on a linear one the small values lie on the ground.
_SPREAD_FOR_LOG = 100.0
# A named rate or gradient is read by its order of magnitude from a smaller spread on.
_SPREAD_OF_RATES = 8.0
_RATE_WORDS = ("rate", "lr", "gradient", "batch size", "curvature", "decades")


def is_drawable(value: float) -> bool:
    """Tell whether a value can stand on an axis; what lies beyond counts as diverged."""
    return abs(value) <= _LARGEST


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis from `low` to `high`, both included.

    Attributes:
        low: The value at 0.
        high: The value at 1; above `low`.
        is_log: Equal ratios, not equal differences, take equal room.
        is_whole: Only whole numbers have a meaning: steps, depth.
    """

    low: float
    high: float
    is_log: bool = False
    is_whole: bool = False

    def place(self, value: float) -> float:
        """Return where a value stands, 0 at `low` and 1 at `high`."""
        if self.is_log:
            low, high = math.log10(self.low), math.log10(self.high)
            return (math.log10(value) - low) / (high - low)
        return (value - self.low) / (self.high - self.low)

    def has(self, value: float) -> bool:
        """Tell whether the value can be placed: it is drawable, and positive on a log axis."""
        return is_drawable(value) and (value >= _SMALLEST or not self.is_log)

    def ticks(self) -> list[tuple[float, str]]:
        """Return values and their labels, from low to high."""
        return self._decades() if self.is_log else self._steps()

    def _steps(self) -> list[tuple[float, str]]:
        raw = (self.high - self.low) / (_TICKS - 1)
        size = 10.0 ** math.floor(math.log10(raw))
        step = next(nice for nice in _NICE_STEPS if nice * size >= raw * (1 - 1e-9)) * size
        if self.is_whole:
            step = max(1.0, float(math.ceil(step)))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [(i * step, number(float(f"{i * step:.6g}"))) for i in range(first, last + 1)]

    def _decades(self) -> list[tuple[float, str]]:
        low, high = math.log10(self.low), math.log10(self.high)
        first, last = math.ceil(low - 1e-9), math.floor(high + 1e-9)
        if high - low < _DECADES_FOR_POWERS:
            return self._fine_ticks(first - 1, last)
        stride = max(1, math.ceil((last - first) / _TICKS))
        return [(10.0**e, _power(e)) for e in range(first, last + 1, stride)]

    def _fine_ticks(self, first: int, last: int) -> list[tuple[float, str]]:
        """Return 1, 2 and 5 times powers of ten, or both ends where none of them fits."""
        values = [nice * 10.0**e for e in range(first, last + 1) for nice in (1, 2, 5)]
        inside = [v for v in values if self.low * (1 - 1e-9) <= v <= self.high * (1 + 1e-9)]
        if len(inside) < 2:
            inside = [self.low, self.high]
        return [(value, number(float(f"{value:.2g}"))) for value in inside]


def axis_for(values: Iterable[float], words: str = "", is_padded: bool = False) -> Axis:
    """Return an axis that holds all values that can be drawn.

    Args:
        values: What has to fit; values that cannot be drawn do not count.
        words: Name and unit; rates, gradients and batch sizes go on a log axis sooner.
        is_padded: Leave a little room at both ends.
    """
    finite = sorted({value for value in values if is_drawable(value)})
    if not finite:
        return Axis(0.0, 1.0)
    if _wants_log(finite, words):
        low, high = next(value for value in finite if value >= _SMALLEST), finite[-1]
        edge = (high / low) ** 0.04 if is_padded else 1.0
        return Axis(low / edge, high * edge, is_log=True)
    low, high = finite[0], finite[-1]
    if low == high:
        room = abs(low) / 2 or 1.0
        return Axis(low - room, high + room)
    edge = (high - low) * 0.04 if is_padded else 0.0
    is_whole = not is_padded and all(value.is_integer() for value in finite)
    return Axis(low - edge, high + edge, is_whole=is_whole)


def _wants_log(finite: Sequence[float], words: str) -> bool:
    positive = [value for value in finite if value >= _SMALLEST]
    if finite[0] < 0 or len(positive) < 2:
        return False
    if _is_evenly_spaced(finite):
        return False
    is_rate = any(word in words.lower() for word in _RATE_WORDS)
    return positive[-1] / positive[0] > (_SPREAD_OF_RATES if is_rate else _SPREAD_FOR_LOG)


def _is_evenly_spaced(ordered: Sequence[float]) -> bool:
    """Tell whether the values are a count such as steps or depth."""
    gaps = [b - a for a, b in zip(ordered, ordered[1:], strict=False)]
    return len(gaps) > 1 and max(gaps) <= 1.5 * min(gaps)


def _power(exponent: int) -> str:
    if -2 <= exponent <= 3:
        return number(10.0**exponent)
    return f"10{str(exponent).translate(_SUPERSCRIPT)}"
