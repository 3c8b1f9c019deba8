"""Judging a report again: what was tried stays with the findings that it was tried for."""

from __future__ import annotations

from dataclasses import replace

from sample_rules import observed, rule

from auditor.finding import TrialOutcome
from auditor.jointtrial import JointTrial
from auditor.judge import Limits, judge
from auditor.report import Report
from auditor.scene import Override

FIX = "[{summary: s, remedy: zero-biases}]"
RULES = (rule("dying-relu", "x > most", fixes=FIX,
              thresholds="{most: {default: 0.5, unit: share, source: s}}"),)
TRIED = TrialOutcome("helps", before={"loss": 2.0}, after={"loss": 1.0})


def with_trial() -> Report:
    first = judge(Report("incomplete", observations=(observed({"x": {"fc1": 1.0}}),)), RULES)
    (finding,) = first.findings
    (fix,) = finding.fixes
    return replace(first, findings=(replace(finding, fixes=(replace(fix, trial=TRIED),)),),
                   joint=JointTrial("loss", 20, (2.0,), (1.0,), ()))


def test_trials_stay_with_their_finding() -> None:
    again = judge(with_trial(), RULES)

    assert again.findings[0].fixes[0].trial == TRIED
    assert again.joint is not None


def test_what_all_fixes_did_goes_with_a_finding_that_goes() -> None:
    limits = Limits(thresholds={"dying-relu": {"most": Override(2.0, "command line")}})
    again = judge(with_trial(), RULES, limits)

    assert again.findings == ()
    assert again.joint is None


def test_the_report_tells_the_limits_that_were_used() -> None:
    limits = Limits(thresholds={"dying-relu": {"most": Override(2.0, "command line")}})
    again = judge(with_trial(), RULES, limits)

    assert again.rules["dying-relu"].limits == {"most": 2.0}
    assert Report.from_json(again.to_json()).rules == again.rules
