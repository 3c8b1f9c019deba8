"""What the first screen says: the root causes in a sentence each, what to do, whether it helped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from auditor.finding import SEVERITIES, Finding, Fix, Severity
from auditor.report import Report

from .outline import consequences_of, outline_of
from .trials import is_dropped, together_line
from .wording import listed, plural, prose, trial_line, where

_MOST, _MOST_BELOW = 2, 4
_NOUNS = {"error": "error", "warning": "warning", "info": "note"}


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
        leads: What else follows from it ("2 errors: dying-relu and cannot-overfit"); empty for
            nothing.
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
    return Lead(
        finding.rule, finding.severity, prose(finding.title), where(finding.place),
        prose(fix.summary) if fix else "", fix.trial.status if fix else "untried",
        _tried(fix) if fix else "",
        _below(consequences_of(report, finding)))


def _below(found: Sequence[Finding]) -> str:
    """Return how many findings of each severity there are, and the names of the first."""
    if not found:
        return ""
    found = sorted(found, key=lambda below: SEVERITIES.index(below.severity))
    counts = Counter(_NOUNS[below.severity] for below in found)
    told = ", ".join(plural(count, noun) for noun, count in counts.items())
    return f"{told}: {listed((below.rule for below in found), _MOST_BELOW)}"


def _tried(fix: Fix) -> str:
    if fix.trial.status == "untried":
        reason = prose(fix.trial.reason)
        return f"not tried: {reason}" if reason else "not tried"
    return trial_line(fix.trial)


def _advised(fixes: Sequence[Fix]) -> Fix | None:
    """Return the first fix that was not tried in vain, else the first."""
    return next((fix for fix in fixes if not is_dropped(fix)), fixes[0] if fixes else None)
