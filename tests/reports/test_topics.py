"""What was measured is drawn, topic by topic, whatever the size of the model."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest
from sample_measured import measured
from sample_reports import failing

from auditor.observation import Measurement, Observation, Series
from auditor.report import Report

topics = import_module("auditor.reports.topics")
modelmap = import_module("auditor.reports.modelmap")


def _topic(report: Report, ident: str) -> Any:
    return next(topic for topic in topics.topics_of(report) if topic.ident == ident)


def _chart(report: Report, ident: str, title: str) -> Any:
    return next(picture.chart for picture in _topic(report, ident).pictures
                if title in picture.chart.title)


def test_topics_stand_in_the_order_in_which_a_reader_asks() -> None:
    assert [topic.ident for topic in topics.topics_of(measured())] == [
        "rate", "activations", "gradients", "initialisation", "memorising", "fit", "batch", "data",
        "hardest"]


@pytest.mark.parametrize("layers", [1, 3, 600])
def test_every_picture_has_values_and_a_name(layers: int) -> None:
    for topic in topics.topics_of(measured(layers)):
        for position, picture in enumerate(topic.pictures):
            drawn = picture.chart.svg(f"{topic.ident}-{position}")
            assert picture.rows and len(picture.head) == len(picture.rows[0])
            assert "<title" in drawn and "<desc" in drawn
            assert "nan" not in drawn.lower()


def test_the_sweep_shows_the_rate_in_use_the_suggested_one_and_the_stable_range() -> None:
    sweep = _chart(measured(), "rate", "learning rate rises")

    assert dict(sweep.marks) == {0.01: "in use: 0.01", 0.02: "suggested: 0.02"}
    (band,) = sweep.bands
    assert (band.low, band.high, band.is_across) == (0.001, 0.1, True)
    assert 'class="band f-green"' in sweep.svg("c")
    assert "The race was won by 0.02." in " ".join(_topic(measured(), "rate").says)


def test_the_best_step_is_marked() -> None:
    assert _chart(measured(), "fit", "validation").marks == ((200.0, "lowest on validation: 200"),)


def test_a_healthy_band_comes_from_the_limits_of_the_rules() -> None:
    (band,) = _chart(measured(), "gradients", "size of a step").bands

    assert (band.low, band.high) == (1e-7, 0.3)
    assert _chart(measured(limits=False), "gradients", "size of a step").bands == ()


def test_a_ridge_beyond_its_limit_is_marked_by_more_than_its_colour() -> None:
    ridges = _chart(measured(5), "activations", "outputs of the activations")

    assert [row.is_bad for row in ridges.rows] == [False, False, False, False, True]
    assert "80 % dead ✕" in ridges.svg("c")


def test_bad_layers_of_a_deep_model_are_among_the_ridges_that_are_drawn() -> None:
    ridges = _chart(measured(600), "activations", "outputs of the activations")

    assert len(ridges.rows) == 14
    assert any(row.is_bad for row in ridges.rows)


def test_quantiles_are_linear_inside_a_bin() -> None:
    histogram = import_module("auditor.reports.ridges").Histogram((0.0, 1.0, 3.0), (1.0, 1.0))

    assert histogram.quantile(0.25) == 0.5
    assert histogram.quantile(0.75) == 2.0
    assert histogram.quantile(1.0) == 3.0


def test_the_hardest_images_are_drawn_and_other_samples_told() -> None:
    (picture,) = _topic(measured(), "hardest").pictures
    drawn = picture.chart.svg("c")
    (*others, fit, batch) = measured().observations
    rows: Any = [{"index": 3, "loss": 2.0, "target": 1.5, "prediction": 0.2}]
    plain = replace(measured(), observations=(
        *others, replace(fit, tables={"hardest_samples": rows}), batch))

    assert "target 7, said 1" in drawn
    assert len(re.findall("<g ", drawn)) == 8
    (table,) = _topic(plain, "hardest").tables
    assert table.rows == (("3", "2", "1.5", "0.2"),)


def test_equal_pixels_are_drawn_in_one_stroke() -> None:
    thumbnails = import_module("auditor.reports.thumbnails")
    sheet = thumbnails.Sheet("t", "s", (thumbnails.Thumbnail(((0.0, 1.0, 1.0, 0.5),), ("a",)),))

    assert re.findall(r'<path fill="(#...)" d="([^"]+)"', sheet.svg("c")) == [
        ("#888", "M3 0h1v1h-1z"), ("#fff", "M1 0h2v1h-2z")]


def test_many_classes_are_a_line_and_few_are_bars() -> None:
    def labels(classes: int) -> Report:
        rows: Any = [{"class": i, "training": 5, "validation": 0} for i in range(classes)]
        return replace(measured(), observations=(
            Observation("data", tables={"label_counts": rows}),))

    assert type(_topic(labels(10), "data").pictures[0].chart).__name__ == "Bars"
    assert type(_topic(labels(100), "data").pictures[0].chart).__name__ == "Chart"


def test_names_along_the_depth_are_those_of_the_weights_not_of_the_activations() -> None:
    chart = _chart(measured(), "gradients", "gradient of the weights by layer")

    assert chart.place(0.0) == "blocks.0.linear"


def test_curves_of_a_probe_that_nobody_knows_come_last() -> None:
    strange = Observation("my probe", series=(Series("odd", "a", (0.0, 1.0), (1.0, 2.0)),))
    report = replace(measured(), observations=(*measured().observations, strange))

    assert topics.topics_of(report)[-1].title == "my probe"


def test_what_is_not_a_number_in_a_table_is_left_out() -> None:
    rows: Any = [{"layer": "x", "step": 0, "edges": [0, "inf"], "counts": [3]}, {"layer": "y"}, 7]
    pixels: Any = [{"picture": [["nan"]], "loss": "inf", "index": 1}]
    report = replace(failing(), observations=(
        Observation("layers", tables={"activation_histograms": rows}),
        Observation("data", tables={"label_counts": [{"class": 1, "training": "nan"}],
                                    "input_features": [{"min": "-inf"}]}),
        Observation("fit", tables={"hardest_samples": pixels})))

    assert [topic.ident for topic in topics.topics_of(report)] == ["hardest"]


def test_a_layer_of_the_map_carries_its_values_and_its_worst_finding() -> None:
    found = modelmap.map_of(measured())
    units = {row.path: row for row in found.rows}

    assert found.heads == ("output rms", "gradient rms", "step / weight", "dead")
    assert units["blocks.0:relu"].health == "error"
    assert units["blocks.4:relu"].health == ""
    assert units["blocks.4:relu"].values[3] == "80 %"
    assert "dying-relu" in units["blocks.0:relu"].says


def test_measurements_by_layer_become_curves_in_the_order_of_the_model() -> None:
    derived = import_module("auditor.reports.derived")
    seen = Observation("layers", measurements=tuple(
        Measurement("flat_share", value, path)
        for path, value in (("blocks.1:relu", 0.5), ("blocks.0:relu", math.nan))))
    extended = derived.with_derived(replace(measured(), observations=(seen,)))

    assert extended.observations[-1].tables["flat_share_layers"] == [
        "blocks.0:relu", "blocks.1:relu"]


def test_the_lines_of_the_race_say_which_is_in_use_and_which_is_suggested() -> None:
    names = [line.name for line in _chart(measured(), "rate", "best rates").lines]

    assert names == ["0.01, in use", "0.02, suggested", "0.04", "0.08"]
