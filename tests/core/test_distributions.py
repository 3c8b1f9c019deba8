"""The distributions that probes test with agree with scipy's."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from pathlib import Path

import pytest
from scipy import special

from auditor.distributions import beta_quantile, gamma_quantile, student_cdf


@pytest.mark.parametrize("freedom", [1, 2, 3, 7, 30, 400])
def test_students_distribution_also_far_out(freedom: int) -> None:
    for t in (-60.0, -9.0, -2.5, -1.0, -1e-3, 0.0, 0.3, 1.7, 12.0):
        assert student_cdf(freedom, t) == pytest.approx(special.stdtr(freedom, t), rel=1e-9)
    assert math.isnan(student_cdf(freedom, math.nan))


def test_the_upper_end_of_an_interval_of_a_share() -> None:
    for found, total in itertools.product((0, 1, 5, 80, 2000), (2001, 4000, 60_000)):
        for error in (0.025, 0.025 / 1000):
            exact = special.betaincinv(found + 1, total - found, 1 - error)
            assert beta_quantile(found + 1, total - found, 1 - error) == pytest.approx(
                exact, rel=1e-9)
    assert beta_quantile(1, 1, 0.3) == pytest.approx(0.3)


def test_the_interval_of_a_count() -> None:
    for found in (1, 2, 10, 300, 5000):
        for probability in (0.025, 0.975):
            exact = special.gammaincinv(found, probability)
            assert gamma_quantile(found, probability) == pytest.approx(exact, rel=1e-9)


_TESTS = """
import sys
import torch
from builders import part_of_probes
part_of_probes("_paired").paired([2.0, 3.0], [1.0, 1.5])
part_of_probes("_copies").share_interval(2, 100, 1.0)
part_of_probes("_labels").rarity(torch.tensor([0, 1, 1]), None)
print("scipy" in sys.modules)
"""


def test_the_tests_of_probes_do_without_scipy() -> None:
    found = subprocess.run([sys.executable, "-c", _TESTS], text=True, check=True,
                           capture_output=True, cwd=Path(__file__).parents[1])

    assert found.stdout.strip() == "False"
