"""What the first screen says: the root causes in a sentence each, what to do, whether it helped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from auditor.finding import Finding, Fix, Severity
from auditor.report import Report

from .outline import consequences_of, outline_of
from .trials import is_dropped, together_line
from .wording import plural, prose, trial_line, where

_MOST = 2


@dataclass(frozen=True, slots=True)
class Lead:
    """A root cause at a glance.

    Attributes:
        rule: For the link.
        severity: Of the finding.
        title: What is wrong.
        place: Where, empty when unknown.
        action: What to do about it.
        outcome: "helps", "no-effect", "harms" or "untried".
        tried: What the trial showed, or why there was none.
        leads: How many other findings follow from it, in words; empty for none.
    """

    rule: str
    severity: Severity
    title: str
    place: str
    action: str
    outcome: str
    tried: str
    leads: str


@dataclass(frozen=True, slots=True)
class Summary:
    """The first screen.

    Attributes:
        leads: One or two root causes, the one to mend first on top.
        rest: How many more there are, in words; empty for none.
        together: What all fixes do together; empty when that was not tried.
    """

    leads: tuple[Lead, ...]
    rest: str
    together: str


def summary_of(report: Report) -> Summary:
    """Return what a reader has to see first."""
    full = outline_of(report).full
    left = len(full) - _MOST
    rest = f"{plural(left, 'more root cause')} below" if left > 0 else ""
    return Summary(tuple(_lead(report, finding) for finding in full[:_MOST]), rest,
                   together_line(report))


def _lead(report: Report, finding: Finding) -> Lead:
    fix = _advised(finding.fixes)
    below = len(consequences_of(report, finding))
    return Lead(
        finding.rule, finding.severity, prose(finding.title), where(finding.place),
        prose(fix.summary) if fix else "", fix.trial.status if fix else "untried",
        _tried(fix) if fix else "",
        f"{plural(below, 'other finding')} {'follows' if below == 1 else 'follow'} from it"
        if below else "")


def _tried(fix: Fix) -> str:
    if fix.trial.status == "untried":
        reason = prose(fix.trial.reason)
        return f"not tried: {reason}" if reason else "not tried"
    return trial_line(fix.trial)


def _advised(fixes: Sequence[Fix]) -> Fix | None:
    """Return the first fix that was not tried in vain, else the first."""
    return next((fix for fix in fixes if not is_dropped(fix)), fixes[0] if fixes else None)
