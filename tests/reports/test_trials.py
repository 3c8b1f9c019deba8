"""What the reports say of fixes that were tried."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

from sample_reports import failing

from auditor.finding import Fix, TrialOutcome

trials = import_module("auditor.reports.trials")
trial_line = import_module("auditor.reports.wording").trial_line
RENDERERS = import_module("auditor.reports").RENDERERS

TRIED = TrialOutcome("helps", before={"loss": [2.3, 2.2], "accuracy": [0.1, 0.11]},
                     after={"loss": [2.3, 0.41], "accuracy": [0.1, 0.87]}, steps=60, seeds=2)


def test_the_line_tells_where_both_versions_end() -> None:
    assert trial_line(TRIED) == ("helps: loss after 60 steps 2.2 -> 0.41; "
                                 "accuracy after 60 steps 11 % -> 87 % (2 seeds)")


def test_each_measure_gives_two_curves_over_the_steps() -> None:
    told = [(one.name, one.label, one.x, one.y)
            for one in trials.trial_curves(Fix("x", trial=TRIED))]

    assert told == [
        ("trial_loss", "as it is", (0.0, 60.0), (2.3, 2.2)),
        ("trial_loss", "mended", (0.0, 60.0), (2.3, 0.41)),
        ("trial_accuracy", "as it is", (0.0, 60.0), (0.1, 0.11)),
        ("trial_accuracy", "mended", (0.0, 60.0), (0.1, 0.87)),
    ]


def test_the_bars_say_what_leaving_a_fix_out_costs() -> None:
    told = [(bar.label, bar.says) for bar in trials.bars_of(failing(), "double-softmax")]

    assert told == [("as it is", "10 %"), ("all 2 fixes", "78 to 87 %"),
                    ("without this", "20 to 34 %"), ("only this", "10 to 11 %")]


def test_a_fix_that_makes_no_difference_says_so() -> None:
    assert "no measurable difference" in trials.joint_line(failing(), "unshuffled-loader")
    assert "no measurable difference" not in trials.joint_line(failing(), "double-softmax")


def test_a_finding_without_a_part_in_the_joint_trial_has_no_bars() -> None:
    assert trials.joint_line(failing(), "dying-relu") == ""
    assert trials.joint_line(replace(failing(), joint=None), "double-softmax") == ""


def test_every_renderer_tells_of_a_fix_that_was_dropped() -> None:
    report = failing()
    finding = report.findings[0]
    harm = replace(finding, fixes=(Fix("Do this.", trial=TrialOutcome("harms", "worse")),))
    report = replace(report, findings=(harm, *report.findings[1:]))

    for renderer in RENDERERS:
        if renderer.name in ("terminal", "markdown", "html"):
            text = renderer.render(report).lower()
            assert "not this" in text or "tried" in text
            assert "makes it worse" in text
