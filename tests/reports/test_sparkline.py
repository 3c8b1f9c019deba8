from __future__ import annotations

import math
from importlib import import_module

from auditor.observation import Series

sparkline = import_module("auditor.reports.sparkline").sparkline


def _series(*values: float) -> Series:
    return Series("loss", "now", tuple(float(i) for i in range(len(values))), values, "step", "")


def test_the_highest_value_is_the_highest_block() -> None:
    assert sparkline(_series(3.0, 1.0, 2.0)) == "█▁▅  loss, now: 3 to 2 over step 0 to 2"


def test_a_diverged_point_is_a_cross_and_no_number() -> None:
    shown = sparkline(_series(1.0, 2.0, math.nan))

    assert shown == "▁█×  loss, now: 1 to NaN over step 0 to 2 (× diverged)"


def test_many_decades_are_drawn_on_a_log_scale() -> None:
    assert sparkline(_series(1.0, 1e-4, 1e-8)).startswith("█▅▁  ")


def test_a_long_series_is_thinned() -> None:
    assert len(sparkline(_series(*(float(i) for i in range(1000)))).split()[0]) == 40


def test_a_flat_series_and_a_lost_one_can_be_drawn() -> None:
    assert sparkline(_series(1.0, 1.0)).startswith("▁▁  ")
    assert sparkline(_series(math.nan)) == ""
    assert sparkline(_series(-1.7e308, 0.0, 1.7e308)).startswith("×▁×  ")


def test_ascii_terminals_get_ascii() -> None:
    assert sparkline(_series(3.0, 1.0, math.inf), ascii_only=True).isascii()
