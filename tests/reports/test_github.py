from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module

from sample_hostile import hostile
from sample_reports import failing, healthy, incomplete

from auditor.finding import Severity
from auditor.report import Report

COMMAND = re.compile(r"::(error|warning|notice) ((?:[a-zA-Z]+=[^:,\r\n]*,?)+)::(.*)")
render: Callable[[Report], str] = import_module("auditor.reports.github").GithubRenderer().render


def commands(report: Report) -> list[tuple[str, dict[str, str], str]]:
    """Read the lines as the runner does."""
    found = []
    for line in render(report).splitlines():
        match = COMMAND.fullmatch(line)
        assert match, line
        pairs = dict(pair.split("=", 1) for pair in match[2].split(","))
        found.append((match[1], pairs, match[3]))
    return found


def many(count: int, severity: Severity) -> Report:
    first = failing().findings[0]
    return replace(healthy(), findings=tuple(
        replace(first, rule=f"rule-{number}", severity=severity) for number in range(count)))


def test_a_finding_stands_at_its_expression() -> None:
    kind, place, text = commands(failing())[0]

    assert kind == "error"
    assert place == {"file": "model.py", "line": "18", "endLine": "18", "col": "9",
                     "endColumn": "48", "title": "error%3A dying-relu"}
    assert text.startswith("All 64 units of gate are dead") and "%0AFix%3A" not in text


def test_strings_of_the_user_cannot_make_a_command() -> None:
    assert len(commands(hostile())) == len(hostile().findings) + 1


def test_a_finding_without_a_line_has_none() -> None:
    found = {pairs["title"]: pairs for _, pairs, _ in commands(failing())}

    assert "file" not in found["error%3A cannot-overfit"]


def test_ten_of_a_kind_are_shown_and_the_rest_counted() -> None:
    for severity, kind in (("error", "error"), ("warning", "warning")):
        found = commands(many(13, severity))  # type: ignore[arg-type]

        assert [name for name, _, _ in found] == [kind] * 10 + ["notice"]
        assert found[-1][2] == "3 more findings: see the report"


def test_notices_with_the_last_one_are_ten() -> None:
    found = commands(many(13, "info"))

    assert len(found) == 10
    assert found[-1][2].startswith("4 more findings")


def test_what_could_not_be_measured_is_told() -> None:
    assert commands(incomplete())[-1][2] == "3 checks could not be made: see the report"


def test_a_healthy_model_has_nothing_to_say() -> None:
    assert render(healthy()) == ""


def test_known_and_ignored_findings_are_left_out() -> None:
    report = replace(healthy(), findings=(
        replace(failing().findings[0], known=True),
        replace(failing().findings[1], ignored="audit.yaml:3")))

    assert render(report) == ""


def test_files_are_shown_from_the_root_of_the_repository() -> None:
    report = replace(failing(), environment={"folder": "models/shapes"})

    assert commands(report)[0][1]["file"] == "models/shapes/model.py"
