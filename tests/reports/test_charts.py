from __future__ import annotations

import math
import re
from dataclasses import replace
from importlib import import_module

import pytest
from sample_reports import failing

from auditor.finding import Evidence
from auditor.observation import Observation, Series

charts = import_module("auditor.reports.charts")
pictures = import_module("auditor.reports.pictures")
scales = import_module("auditor.reports.scales")


def _draw(*y: float, name: str = "loss", evidence: tuple[Evidence, ...] = ()) -> str:
    x = tuple(float(i) for i in range(len(y)))
    (picture,) = pictures.pictures_of(failing(), [Series(name, "now", x, y, "step", "")], evidence)
    return str(charts.svg(picture.chart, "c"))


@pytest.mark.parametrize(("values", "words", "is_log"), [
    ((0.0, 5.0, 10.0), "step", False),
    ((1e-4, 1e-3, 1e-2), "learning rate", True),
    ((1.0, 2.0, 4.0, 8.0, 16.0), "batch size", True),
    ((1.0, 2.0, 4.0, 8.0, 16.0), "loss", False),
    ((1.0, 0.1, 1e-3), "loss", True),
    ((-1.0, 0.1, 1000.0), "loss", False),
    ((0.0, 1e-4, 1.0), "gradient rms", True),
    (tuple(float(i) for i in range(1, 1000)), "step", False),
])
def test_the_axis_fits_what_it_shows(values: tuple[float, ...], words: str, is_log: bool) -> None:
    assert scales.axis_for(values, words).is_log is is_log


@pytest.mark.parametrize("values", [
    (3.0,), (1.0, 1.0), (math.nan, math.inf), (-5.0, 1e9), (0.0,), (2.0, 3.0), (1.0, 1.05),
    (1e-149, 1e149), (1e-320, 1e308), (-1.7e308, 1.7e308),
])
def test_an_axis_holds_every_finite_value_and_has_ticks(values: tuple[float, ...]) -> None:
    axis = scales.axis_for(values, "learning rate", is_padded=True)

    assert all(-1e-9 <= axis.place(value) <= 1 + 1e-9 for value in values if axis.has(value))
    assert 2 <= len(axis.ticks()) <= 12


@pytest.mark.parametrize(("low", "high", "labels"), [
    (0.0, 10.0, ["0", "2", "4", "6", "8", "10"]),
    (0.0, 0.3, ["0", "0.1", "0.2", "0.3"]),
])
def test_ticks_are_round_numbers(low: float, high: float, labels: list[str]) -> None:
    assert [label for _, label in scales.Axis(low, high).ticks()] == labels


def test_steps_and_depths_have_no_half_ticks() -> None:
    assert [label for _, label in scales.axis_for((0.0, 1.0, 2.0)).ticks()] == ["0", "1", "2"]


def test_ticks_of_a_log_axis_are_powers_or_their_simple_multiples() -> None:
    assert [label for _, label in scales.Axis(1e-6, 1.0, True).ticks()] == [
        "10⁻⁶", "10⁻⁵", "10⁻⁴", "10⁻³", "0.01", "0.1", "1"]
    assert [label for _, label in scales.Axis(1.0, 32.0, True).ticks()] == [
        "1", "2", "5", "10", "20"]


def test_a_diverged_point_breaks_the_line_and_is_no_number() -> None:
    drawn = _draw(1.0, 2.0, math.nan, 2.0, 1.0)

    assert drawn.count("<polyline") == 2
    assert drawn.count('class="cross"') == 1
    assert "diverged" in drawn
    assert "nan" not in drawn.lower()


def test_zero_on_a_log_axis_is_marked() -> None:
    drawn = _draw(1.0, 1e-4, 0.0, 1e-4, name="gradient_rms")

    assert "zero or below" in drawn


def test_a_limit_of_the_same_measurement_is_drawn() -> None:
    limit = Evidence("loss", 2.0, comparison=">", threshold=0.1)

    assert "limit 0.1" in _draw(2.0, 1.0, 1.5, evidence=(limit,))
    assert "limit" not in _draw(2.0, 1.0, 1.5, name="accuracy", evidence=(limit,))


def test_every_point_lies_inside_the_chart() -> None:
    drawn = _draw(1.0, -3.0, 1e6, 2.0)

    pairs = re.findall(r"(-?[\d.]+),(-?[\d.]+)", "".join(re.findall(r'points="([^"]+)', drawn)))
    assert pairs
    assert all(0 <= float(x) <= charts.WIDTH and 0 <= float(y) <= charts.HEIGHT for x, y in pairs)


def test_thinning_keeps_a_spike_and_a_divergence() -> None:
    points = [(float(i), 1.0) for i in range(5000)]
    points[1234] = (1234.0, 50.0)
    points[4000] = (4000.0, math.nan)

    kept = charts.thinned(points)

    assert len(kept) <= 300
    assert points[1234] in kept
    assert points[4000] in kept


def test_series_of_one_name_share_a_chart_with_short_names() -> None:
    series = [Series("gradient_rms", f"encoder.{i}.attention.weight", (0.0, 1.0), (1.0, 2.0))
              for i in range(3)]

    (picture,) = pictures.pictures_of(failing(), series)

    assert [line.short for line in picture.chart.lines] == ["0", "1", "2"]
    assert picture.head == ("x", *(one.label for one in series))


def test_equal_names_stay_names() -> None:
    series = [Series("loss", "run", (0.0, 1.0), (1.0, float(i))) for i in range(2)]

    (picture,) = pictures.pictures_of(failing(), series)

    assert [line.short for line in picture.chart.lines] == ["run", "run"]


def test_lines_that_the_finding_names_are_drawn_first() -> None:
    series = [Series("gradient_rms", f"fc{i}", (0.0, 1.0), (1.0, 2.0)) for i in range(40)]

    evidence = (Evidence("gradient_rms", 1.0, layer="fc17"),)
    (picture,) = pictures.pictures_of(failing(), series, evidence)

    names = [line.name for line in picture.chart.lines]
    assert names[0] == "fc17"
    assert {"fc0", "fc39"} <= set(names)
    assert len(names) == 8


def test_the_rate_in_use_is_marked() -> None:
    report = replace(failing(), target={"lr": 0.5})

    (picture,) = pictures.pictures_of(
        report, [Series("sweep", "loss", (1e-3, 1e-2), (1.0, 2.0), "learning rate")])

    assert picture.chart.marks == ((0.5, "in use: 0.5"),)
    assert picture.chart.x.high == 0.5
    assert "in use: 0.5" in charts.svg(picture.chart, "c")


def test_positions_along_the_model_have_the_names_of_its_layers() -> None:
    series = Series("rms", "measured", (0.0, 1.0), (1.0, 2.0), "layer")
    seen = Observation("init", series=(series,), tables={"init_layers": ["fc1", "fc2"]})

    (picture,) = pictures.pictures_of(replace(failing(), observations=(seen,)), [series])

    assert [row[0] for row in picture.rows] == ["fc1", "fc2"]
    assert '"fc2"' in charts.svg(picture.chart, "c")
    assert ">fc1</text>" in charts.svg(picture.chart, "c")


def test_an_empty_series_gives_no_picture() -> None:
    assert pictures.pictures_of(failing(), [Series("loss", "now", (), ())]) == []
