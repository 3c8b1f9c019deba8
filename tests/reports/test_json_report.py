from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from importlib.resources import files

import pytest
from jsonschema import Draft202012Validator
from sample_hostile import hostile
from sample_reports import failing, healthy, incomplete

from auditor.finding import Evidence
from auditor.report import Report

REPORTS = [failing(), healthy(), incomplete(), hostile()]
render: Callable[[Report], str] = import_module("auditor.reports.json").JsonRenderer().render


def _schema() -> dict[str, object]:
    text = files("auditor.reports").joinpath("report.schema.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(_schema())


@pytest.mark.parametrize("report", REPORTS)
def test_every_report_fits_the_schema(report: Report) -> None:
    Draft202012Validator(_schema()).validate(json.loads(render(report)))


@pytest.mark.parametrize("report", REPORTS)
def test_what_is_read_back_renders_the_same(report: Report) -> None:
    text = render(report)

    assert render(Report.from_json(json.loads(text))) == text


def test_what_is_read_back_is_equal() -> None:
    # Without the sweep: its series holds NaN, which equals nothing.
    whole = [seen for seen in failing().observations if seen.probe != "learning-rate"]
    report = replace(failing(), observations=tuple(whole))

    assert Report.from_json(json.loads(render(report))) == report


def test_infinite_limits_and_spreads_survive() -> None:
    first = failing().findings[0]
    item = Evidence("loss", math.inf, threshold=math.inf, comparison=">", spread=math.inf)
    report = replace(failing(), findings=(replace(first, evidence=(item,)),))
    text = render(report)

    (found,) = Report.from_json(json.loads(text)).findings[0].evidence

    assert found == item


def test_the_file_is_strict_json_without_nan() -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    json.loads(render(failing()), parse_constant=refuse)


def test_a_file_name_that_is_not_unicode_can_be_written() -> None:
    report = replace(failing(), target={"file": "mod\udce9le.py"})

    assert render(report).encode("utf-8")


def test_the_json_is_the_golden_one(same_as_golden: Callable[[str, str], None]) -> None:
    same_as_golden(render(failing()), "failing.json")
