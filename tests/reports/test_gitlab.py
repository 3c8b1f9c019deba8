from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest
from sample_hostile import hostile
from sample_reports import failing, healthy

from auditor.report import Report

render: Callable[[Report], str] = import_module("auditor.reports.gitlab").GitlabRenderer().render


def entries(report: Report) -> Any:
    return json.loads(render(report), parse_constant=pytest.fail)


@pytest.mark.parametrize("report", [failing(), hostile()])
def test_every_entry_has_what_gitlab_demands(report: Report) -> None:
    for entry in entries(report):
        assert entry["description"] and entry["check_name"]
        assert entry["severity"] in ("info", "minor", "major", "critical", "blocker")
        assert entry["location"]["path"] and entry["location"]["lines"]["begin"] >= 1


def test_fingerprints_are_unique() -> None:
    prints = [entry["fingerprint"] for entry in entries(failing())]

    assert len(prints) == len(set(prints)) == 7


def test_a_finding_about_the_run_stands_where_the_target_is_made() -> None:
    found = {entry["check_name"]: entry for entry in entries(failing())}

    assert found["cannot-overfit"]["location"] == {"path": "model.py", "lines": {"begin": 39}}


def test_no_line_is_invented() -> None:
    report = replace(failing(), target={})

    assert len(entries(report)) == sum(f.place is not None for f in report.findings)


def test_a_healthy_model_gives_an_empty_list() -> None:
    assert entries(healthy()) == []


def test_files_are_shown_from_the_root_of_the_repository() -> None:
    report = replace(failing(), environment={"folder": "models/shapes"})

    assert {entry["location"]["path"] for entry in entries(report)} == {"models/shapes/model.py"}
