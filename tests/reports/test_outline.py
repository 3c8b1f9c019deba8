from __future__ import annotations

from dataclasses import replace
from importlib import import_module

from sample_reports import failing

from auditor.finding import Finding
from auditor.report import ProbeRun, Report

outline = import_module("auditor.reports.outline")


def _rules(findings: tuple[Finding, ...]) -> list[str]:
    return [finding.rule for finding in findings]


def _with(report: Report, rule: str, **changes: object) -> Report:
    changed = [replace(f, **changes) if f.rule == rule else f  # type: ignore[arg-type]
               for f in report.findings]
    return replace(report, findings=tuple(changed))


def test_every_finding_lands_in_exactly_one_group() -> None:
    report = _with(failing(), "lr-too-high", known=True)

    sorted_ = outline.outline_of(report)

    groups = (sorted_.full, sorted_.notes, sorted_.known, sorted_.explained)
    assert sorted(rule for group in groups for rule in _rules(group)) == sorted(
        _rules(report.findings))


def test_consequences_stand_under_their_cause() -> None:
    sorted_ = outline.outline_of(failing())

    assert _rules(sorted_.full) == ["dying-relu", "double-softmax", "lr-too-high",
                                    "unshuffled-loader"]
    assert _rules(sorted_.explained) == ["cannot-overfit", "no-learning-at-any-rate"]


def test_a_fault_whose_cause_is_known_is_told_in_full() -> None:
    report = failing()
    for rule in ("dying-relu", "double-softmax"):
        report = _with(report, rule, known=True)

    assert "cannot-overfit" in _rules(outline.outline_of(report).full)


def test_consequences_of_consequences_are_found() -> None:
    report = _with(failing(), "dying-relu", consequences=("cannot-overfit",))
    report = _with(report, "cannot-overfit", consequences=("no-learning-at-any-rate",))

    below = outline.consequences_of(report, report.findings[0])

    assert _rules(below) == ["cannot-overfit", "no-learning-at-any-rate"]


def test_findings_that_explain_each_other_are_both_shown() -> None:
    report = _with(failing(), "dying-relu", causes=("lr-too-high",), consequences=("lr-too-high",))
    report = _with(report, "lr-too-high", causes=("dying-relu",), consequences=("dying-relu",))

    assert {"dying-relu", "lr-too-high"} <= set(_rules(outline.outline_of(report).full))


def test_rules_with_the_same_reason_are_told_together() -> None:
    report = failing()
    verdicts = {rule: replace(found, verdict="not-measured", reason="no time")
                for rule, found in report.verdicts.items()}

    groups = outline.rules_by_reason(replace(report, verdicts=verdicts), "not-measured")

    assert groups == [("no time", sorted(report.verdicts))]


def test_a_finding_is_drawn_with_the_series_of_its_own_measurement() -> None:
    report = failing()
    by_rule = {finding.rule: finding for finding in report.findings}

    assert [s.name for s in outline.curves_of(report, by_rule["cannot-overfit"])] == [
        "overfit_loss"]
    assert outline.curves_of(report, by_rule["dying-relu"]) == ()


def test_probes_that_were_not_run_share_a_row() -> None:
    runs = (ProbeRun("b", "not-run", reason="not selected"), ProbeRun("c", "measured", 1.25, 7),
            ProbeRun("a", "not-run", reason="not selected"))

    rows = outline.probe_rows(replace(failing(), probes=runs))

    assert rows == [("c", "measured", "1.2", "7", ""), ("a, b", "not run", "", "", "not selected")]
