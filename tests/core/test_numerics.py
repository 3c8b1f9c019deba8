"""Pure statistics of curves."""

from __future__ import annotations

import math
import random

from auditor.numerics import fall_in_sigmas, peak_over_first


def test_noise_around_a_constant_falls_by_few_sigmas() -> None:
    falls = []
    for seed in range(200):
        noise = random.Random(seed)
        falls.append(fall_in_sigmas([2.3 + noise.gauss(0, 0.1) for _ in range(45)]))

    # Over 200 seeds, a standard normal exceeds 3 less than once on average.
    assert sum(abs(fall) > 3 for fall in falls) <= 3


def test_a_fall_counts_in_units_of_its_noise() -> None:
    noise = random.Random(0)
    curve = [1 - step / 45 + noise.gauss(0, 0.05) for step in range(45)]

    assert fall_in_sigmas(curve) > 10
    assert fall_in_sigmas(curve[::-1]) < -10


def test_a_short_or_broken_curve_has_no_fall() -> None:
    assert math.isnan(fall_in_sigmas([1.0, 2.0, 3.0]))
    assert math.isnan(fall_in_sigmas([1.0] * 8 + [math.nan]))
    assert fall_in_sigmas([1.0] * 9) == 0.0


def test_a_curve_that_breaks_has_an_infinite_peak() -> None:
    assert peak_over_first([2.0, 1.0, 8.0]) == 4.0
    assert peak_over_first([2.0, 1.0, 0.5]) == 1.0
    assert peak_over_first([2.0, math.nan]) == math.inf
    assert math.isnan(peak_over_first([]))


def test_a_fall_below_zero_is_no_peak() -> None:
    assert peak_over_first([0.02, -0.5, -1.4]) == 1.0
    assert peak_over_first([-2.0, 50.0]) == 27.0
    assert peak_over_first([0.01, -1.0, 0.05]) < 1.1
