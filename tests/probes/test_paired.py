"""The paired test that keeps differences inside the noise out of reports."""

from __future__ import annotations

import math
from importlib import import_module

import pytest
import torch
from scipy import stats

paired = import_module("auditor.probes._paired").paired


@pytest.mark.parametrize("seed", range(5))
def test_p_agrees_with_scipy(seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    a, b = torch.randn(2, 6, generator=g, dtype=torch.float64).tolist()

    expected = stats.ttest_rel(a, b, alternative="greater")

    assert paired(a, b).p == pytest.approx(expected.pvalue, rel=1e-9)


def test_a_single_pair_proves_nothing() -> None:
    assert paired([5.0], [1.0]).p == 1.0


def test_equal_differences_are_certain_in_one_direction_only() -> None:
    assert paired([2.0, 3.0], [1.0, 2.0]).p == 0.0
    assert paired([1.0, 2.0], [2.0, 3.0]).p == 1.0


def test_diverged_runs_count_as_larger_by_the_sign_alone() -> None:
    found = paired([math.inf, 3.0, math.inf], [1.0, 2.0, 1.0])

    assert (found.mean, found.p) == (math.inf, 0.125)


def test_runs_that_disagree_with_a_divergence_prove_nothing() -> None:
    assert paired([math.inf, 1.0], [1.0, 2.0]).p == 1.0
