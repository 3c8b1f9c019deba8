from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator
from markdown_it import MarkdownIt
from sample_hostile import hostile
from sample_reports import failing, healthy, incomplete

from auditor.finding import Finding
from auditor.observation import Place
from auditor.report import Report

SCHEMA = Path(__file__).parent / "vendor" / "sarif-schema-2.1.0.json"
REPORTS = {"failing": failing(), "healthy": healthy(), "incomplete": incomplete(),
           "hostile": hostile(), "empty": Report("incomplete")}
render: Callable[[Report], str] = import_module("auditor.reports.sarif").SarifRenderer().render


def run(report: Report) -> Any:
    (only,) = json.loads(render(report), parse_constant=pytest.fail)["runs"]
    return only


def results(*findings: Finding) -> Any:
    return run(replace(failing(), findings=findings))["results"]


@pytest.fixture(scope="module")
def validator() -> Draft4Validator:
    return Draft4Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", REPORTS)
def test_every_report_fits_the_schema_of_oasis(name: str, validator: Draft4Validator) -> None:
    validator.validate(json.loads(render(REPORTS[name])))


@pytest.mark.parametrize("name", REPORTS)
def test_every_rule_has_what_github_shows(name: str) -> None:
    for rule in run(REPORTS[name])["tool"]["driver"]["rules"]:
        assert rule["id"] and rule["shortDescription"]["text"] and rule["fullDescription"]["text"]
        assert len(rule["fullDescription"]["text"]) <= 1024
        assert f"audit explain {rule['id']}" in rule["help"]["text"]
        assert MarkdownIt().render(rule["help"]["markdown"])
        assert rule["defaultConfiguration"]["level"] in ("error", "warning", "note")


@pytest.mark.parametrize("name", ["failing", "hostile"])
def test_every_result_points_at_its_rule_and_its_line(name: str) -> None:
    report = REPORTS[name]
    found = run(report)

    for finding, result in zip(report.findings, found["results"], strict=True):
        rules = found["tool"]["driver"]["rules"]
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == finding.rule
        physical = [place["physicalLocation"] for place in result.get("locations", ())
                    if "physicalLocation" in place]
        assert bool(physical) == (finding.place is not None)
        for place in physical:
            region = place["region"]
            assert finding.place and region["startLine"] == finding.place.line
            assert {"startColumn", "endLine", "endColumn"} <= set(region)


def test_a_line_without_columns_is_marked_from_its_indent() -> None:
    (result,) = results(replace(failing().findings[0], place=Place("a b.py", 7, code="    x = 1")))

    (place,) = result["locations"]
    assert place["physicalLocation"]["artifactLocation"]["uri"] == "a%20b.py"
    region = place["physicalLocation"]["region"]
    assert (region["startColumn"], region["endLine"], region["endColumn"]) == (5, 7, 10)


def test_the_first_sentence_of_a_message_is_the_title() -> None:
    (result,) = results(failing().findings[0])

    assert result["message"]["text"].startswith(f"{failing().findings[0].title}. ")


def test_fingerprints_do_not_move_with_lines_and_numbers() -> None:
    finding = failing().findings[0]
    assert finding.place is not None
    moved = replace(finding, title="other", message="9.9",
                    place=replace(finding.place, line=99, end_line=99))

    assert (results(moved)[0]["partialFingerprints"]
            == results(finding)[0]["partialFingerprints"])


def test_known_and_ignored_findings_are_suppressed_with_the_reason() -> None:
    first, second, third = failing().findings[:3]
    found = results(first, replace(second, known=True),
                    replace(third, ignored="net.py:9: warm-up"))

    assert "suppressions" not in found[0]
    assert found[1]["suppressions"][0]["kind"] == "external"
    assert found[2]["suppressions"][0] == {
        "kind": "inSource", "status": "accepted", "justification": "ignored: net.py:9: warm-up"}


def test_what_was_not_measured_is_told() -> None:
    told = run(incomplete())["invocations"][0]["toolExecutionNotifications"]

    assert {note["associatedRule"]["id"] for note in told} == {
        "lr-too-high", "lr-too-low", "batch-too-large"}


def test_files_are_shown_from_the_root_of_the_repository() -> None:
    report = replace(failing(), environment={"folder": "models/shapes"})

    (place,) = run(report)["results"][0]["locations"]
    assert place["physicalLocation"]["artifactLocation"]["uri"] == "models/shapes/model.py"
