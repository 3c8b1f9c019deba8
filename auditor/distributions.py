"""The few distributions that probes test with, without the third of a second that scipy takes.

Incomplete beta and gamma functions by series and continued fractions (Numerical Recipes, 6.2 and
6.4), their inverses by bisection.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

_TINY = 1e-300
_EXACT = 1e-15
_MOST_TERMS = 100_000
_HALVINGS = 200


def student_cdf(freedom: float, t: float) -> float:
    """Return the probability that Student's t with so many degrees of freedom is at most `t`."""
    if math.isnan(t):
        return math.nan
    tail = 0.5 * incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t))
    return tail if t <= 0 else 1.0 - tail


def beta_quantile(a: float, b: float, probability: float) -> float:
    """Return where the regularised incomplete beta function reaches a probability."""
    return _inverse(lambda x: incomplete_beta(a, b, x), probability, 1.0)


def gamma_quantile(a: float, probability: float) -> float:
    """Return where the regularised lower incomplete gamma function reaches a probability."""
    high = a + 1.0
    while incomplete_gamma(a, high) < probability:
        high *= 2
    return _inverse(lambda x: incomplete_gamma(a, x), probability, high)


def incomplete_beta(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function, I_x(a, b)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        # The fraction converges fast on the other side.
        return 1.0 - incomplete_beta(b, a, 1 - x)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
                     + a * math.log(x) + b * math.log1p(-x))

    def terms() -> Iterator[tuple[float, float]]:
        yield 1.0, 1.0
        for m in range(1, _MOST_TERMS):
            yield -(a + m - 1) * (a + b + m - 1) * x / ((a + 2 * m - 2) * (a + 2 * m - 1)), 1.0
            yield m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)), 1.0

    return front / a * _fraction(terms())


def incomplete_gamma(a: float, x: float) -> float:
    """Return the regularised lower incomplete gamma function, P(a, x)."""
    if x <= 0:
        return 0.0
    front = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x >= a + 1:
        def terms() -> Iterator[tuple[float, float]]:
            yield 1.0, x + 1 - a
            for n in range(1, _MOST_TERMS):
                yield -n * (n - a), x + 2 * n + 1 - a

        return 1.0 - front * _fraction(terms())
    total = term = 1 / a
    for n in range(1, _MOST_TERMS):
        term *= x / (a + n)
        total += term
        if term < total * _EXACT:
            break
    return front * total


def _fraction(terms: Iterator[tuple[float, float]]) -> float:
    """Return a1 / (b1 + a2 / (b2 + ...)) of pairs (a, b), by Lentz's method."""
    value, upper, lower = _TINY, _TINY, 0.0
    for a, b in terms:
        lower = 1 / ((b + a * lower) or _TINY)
        upper = (b + a / upper) or _TINY
        value *= upper * lower
        if abs(upper * lower - 1) < _EXACT:
            break
    return value


def _inverse(function: Callable[[float], float], wanted: float, high: float) -> float:
    low = 0.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if function(middle) < wanted else (low, middle)
    return (low + high) / 2
