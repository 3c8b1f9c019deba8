"""Several audits as one: medians, and the spread over the seeds."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace

from auditor.observation import Measurement, Observation, Scalar
from auditor.report import Report
from auditor.seeds import merged


def report(*values: Scalar, spread: float | None = None) -> Report:
    items = tuple(Measurement(f"m{i}", value, spread=spread) for i, value in enumerate(values))
    return Report("incomplete", environment={"seed": 0, "seconds": 2.0},
                  observations=(Observation("probe", measurements=items, seconds=1.0, steps=5),))


def item(result: Report, position: int = 0) -> Measurement:
    return result.observations[0].measurements[position]


def test_one_report_stays_as_it_is() -> None:
    alone = report(1.0)

    assert merged([alone]) is alone


def test_a_number_is_the_median_with_its_spread_over_the_seeds() -> None:
    found = item(merged([report(1.0), report(9.0), report(2.0)]))

    assert found.value == 2.0
    assert found.spread == statistics.stdev([1.0, 9.0, 2.0])


def test_a_larger_spread_inside_a_run_stays() -> None:
    assert item(merged([report(1.0, spread=7.0), report(1.1), report(1.2)])).spread == 7.0


def test_flags_and_texts_go_by_majority() -> None:
    found = merged([report(True, "a"), report(False, "b"), report(True, "b")])

    assert (item(found).value, item(found, 1).value) == (True, "b")


def test_a_run_that_diverged_ranks_with_the_largest() -> None:
    assert item(merged([report(math.nan), report(1.0), report(2.0)])).value == 2.0
    assert math.isnan(float(item(merged([report(math.nan), report(math.nan), report(2.0)])).value))


def test_a_run_that_failed_is_outvoted() -> None:
    failed = replace(report(), observations=(Observation("probe", "failed", "no time"),))
    found = merged([failed, report(1.0), report(3.0)])

    assert found.observations[0].status == "measured"
    assert item(found).value == 1.0


def test_time_and_steps_add_up_and_a_note_says_so() -> None:
    found = merged([report(1.0), report(1.0), report(1.0)])

    assert (found.observations[0].seconds, found.observations[0].steps) == (3.0, 15)
    assert found.environment["seconds"] == 6.0
    assert "median over 3 seeds" in found.notes[-1]
