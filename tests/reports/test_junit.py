from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module

import pytest
from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite
from sample_hostile import hostile
from sample_reports import failing, healthy, incomplete

from auditor.report import Report

render: Callable[[Report], str] = import_module("auditor.reports.junit").JunitRenderer().render


def suite(report: Report) -> TestSuite:
    (only,) = JUnitXml.fromstring(render(report).encode())
    return only


def cases(report: Report) -> dict[str, TestCase]:
    return {case.name: case for case in suite(report)}


@pytest.mark.parametrize("report", [failing(), healthy(), incomplete(), hostile()])
def test_there_is_one_case_a_rule(report: Report) -> None:
    assert sorted(cases(report)) == sorted(report.verdicts)


def test_each_verdict_has_its_outcome() -> None:
    found = cases(failing())

    assert isinstance(found["dying-relu"].result[0], Failure)
    assert isinstance(found["batch-too-large"].result[0], Error)
    assert isinstance(found["overfitting"].result[0], Skipped)
    assert isinstance(found["vanishing-gradient"].result[0], Skipped)
    assert found["class-imbalance"].is_passed
    assert found["correlated-features"].is_passed


def test_the_counts_of_the_suite_are_those_of_its_cases() -> None:
    report = failing()
    written = suite(report)
    counted = suite(report)
    counted.update_statistics()  # type: ignore[no-untyped-call]

    assert (written.tests, written.failures, written.errors, written.skipped) == (
        counted.tests, counted.failures, counted.errors, counted.skipped)
    assert written.failures == 6


def test_a_failure_says_what_was_seen_and_where() -> None:
    case = cases(failing())["dying-relu"]

    assert case.classname == "auditor.activation"
    assert case._elem.get("file") == "model.py" and case._elem.get("line") == "18"
    assert case.result[0].type == "error"
    assert "audit explain dying-relu" in case.result[0].text


def test_known_and_ignored_findings_are_skipped() -> None:
    first, second, *rest = failing().findings
    report = replace(failing(), findings=(
        replace(first, known=True), replace(second, ignored="audit.yaml:3: on purpose"), *rest))

    found = cases(report)
    assert isinstance(found[first.rule].result[0], Skipped)
    assert found[second.rule].result[0].message == "ignored: audit.yaml:3: on purpose"
