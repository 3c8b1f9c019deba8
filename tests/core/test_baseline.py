"""Known findings: shown, no failure; and what has become of those that are gone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from sample_reports import failing

from auditor.baseline import Known, baseline_text, read_baseline, with_baseline
from auditor.errors import ConfigError
from auditor.finding import Finding, Verdict
from auditor.report import Report

GATE = Known("dying-relu", "error", ("gate",))


def gate(**changes: object) -> Finding:
    return replace(failing().findings[0], causes=(), **changes)  # type: ignore[arg-type]


def report(*findings: Finding) -> Report:
    return replace(failing(), findings=findings)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    path.write_text(baseline_text(failing()), encoding="utf-8")

    known = read_baseline(path)
    found = with_baseline(failing(), known, "b.json")
    assert all(finding.known for finding in found.findings)
    assert (found.verdict, found.reaches("info"), found.remarks) == ("incomplete", False, ())


def test_a_baseline_holds_no_numbers_and_no_lines() -> None:
    finding = gate()
    other = gate(title="0.9 of gate", message="0.9", evidence=(), place=None)

    assert baseline_text(report(finding)) == baseline_text(report(other))
    assert set(json.loads(baseline_text(report(finding)))["known"][0]) == {
        "rule", "severity", "layers"}


def test_a_new_finding_is_not_known() -> None:
    found = with_baseline(failing(), [GATE], "b.json")

    assert [f.rule for f in found.findings if f.known] == ["dying-relu"]
    assert found.verdict == "fail"


@pytest.mark.parametrize(("known", "is_known"), [
    (GATE, True),
    (Known("dying-relu", "error", ("gate", "stem")), True),
    (Known("dying-relu", "error", ("stem",)), False),
    (Known("dying-relu", "error"), False),
    (Known("dying-relu", "warning", ("gate",)), False),
])
def test_a_finding_is_known_at_its_layers_and_its_severity(known: Known, is_known: bool) -> None:
    assert with_baseline(report(gate()), [known], "b").findings[0].known is is_known


def test_what_is_not_found_any_more_is_named() -> None:
    found = with_baseline(failing(), [Known("class-imbalance", "warning")], "b.json")

    assert found.remarks == (
        "class-imbalance stands in b.json and is not found any more; "
        "--write-baseline drops it.",)


def test_what_was_not_judged_is_neither_stale_nor_dropped() -> None:
    missed = Known("batch-too-large", "warning")
    assert failing().verdicts["batch-too-large"].verdict == "not-measured"

    assert with_baseline(failing(), [missed], "b.json").remarks == ()
    assert "batch-too-large" in baseline_text(failing(), [missed])
    assert "class-imbalance" not in baseline_text(failing(), [Known("class-imbalance", "error")])


def test_ignored_findings_are_not_written() -> None:
    assert json.loads(baseline_text(report(gate(ignored="a.toml:3"))))["known"] == []


def test_known_findings_alone_pass() -> None:
    alone = replace(report(gate()), verdicts={"dying-relu": Verdict("fired")})

    assert with_baseline(alone, [GATE], "b").verdict == "pass"


@pytest.mark.parametrize("text", [
    "", "[]", "{}", '{"schema": 2, "known": []}', '{"schema": 1}',
    '{"schema": 1, "known": [{"rule": "x", "severity": "bad", "layers": []}]}',
])
def test_what_is_no_baseline_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "b.json"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(ConfigError, match="--write-baseline"):
        read_baseline(path)


def test_a_missing_baseline_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_baseline(tmp_path / "b.json")
