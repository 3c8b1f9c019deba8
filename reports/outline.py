"""What of a report is told in full, what in one line, and what under something else."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.finding import Finding
from auditor.observation import Observation, Series
from auditor.report import Report

from .wording import prose

# Words of measurement names that say how, not what, was measured.
_VAGUE = frozenset("share ratio rms std max min mean median count log at of to is has in".split())


@dataclass(frozen=True, slots=True)
class Outline:
    """The findings of a report, sorted into how they are shown.

    Attributes:
        full: Errors and warnings that no other finding explains: a block each.
        notes: Findings worth one line.
        known: Findings that the baseline already holds, or that the user ignores.
        explained: Findings that stand under one in `full`.
    """

    full: tuple[Finding, ...]
    notes: tuple[Finding, ...]
    known: tuple[Finding, ...]
    explained: tuple[Finding, ...]


def outline_of(report: Report) -> Outline:
    """Sort the findings; each lands in exactly one group."""
    new = [finding for finding in report.findings if finding.is_open]
    faults = [finding for finding in new if finding.severity != "info"]
    roots = [finding for finding in faults if not finding.causes]
    explained = {below.rule for root in roots for below in consequences_of(report, root)}
    root_rules = {root.rule for root in roots}
    # A fault whose only causes are notes or known findings has no block above it: it needs its own.
    full = [f for f in faults if f.rule in root_rules or f.rule not in explained]
    under = [f for f in new if f.rule in explained and f.rule not in root_rules]
    return Outline(
        full=tuple(full),
        notes=tuple(f for f in new if f.severity == "info" and f not in under),
        known=tuple(finding for finding in report.findings if not finding.is_open),
        explained=tuple(under),
    )


def consequences_of(report: Report, finding: Finding) -> tuple[Finding, ...]:
    """Return every finding that follows from this one, directly or not, in report order."""
    by_rule = {other.rule: other for other in report.findings}
    reached: set[str] = set()
    waiting = list(finding.consequences)
    while waiting:
        rule = waiting.pop()
        if rule in by_rule and rule not in reached and rule != finding.rule:
            reached.add(rule)
            waiting.extend(by_rule[rule].consequences)
    return tuple(other for other in report.findings if other.rule in reached)


def groups_of(report: Report) -> list[tuple[Finding, list[Finding]]]:
    """Return every finding told in full, with those under it; each stands under one only."""
    outline = outline_of(report)
    left = {finding.rule: finding for finding in outline.explained}
    return [
        (root, [left.pop(below.rule) for below in consequences_of(report, root)
                if below.rule in left])
        for root in outline.full
    ]


def rules_by_reason(report: Report, verdict: str) -> list[tuple[str, list[str]]]:
    """Return the rules with this verdict, those with the same reason together, largest last.

    Returns:
        Pairs of reason and sorted rule ids.
    """
    groups: dict[str, list[str]] = {}
    for rule, found in sorted(report.verdicts.items()):
        if found.verdict == verdict:
            groups.setdefault(found.reason, []).append(rule)
    return sorted(groups.items(), key=lambda pair: (len(pair[1]), pair[1]))


def probe_rows(report: Report) -> list[tuple[str, str, str, str, str]]:
    """Return probe, status, seconds, steps and reason; those not run for one reason share a row."""
    idle: dict[str, list[str]] = {}
    for run in report.probes:
        if run.status == "not-run":
            idle.setdefault(run.reason, []).append(run.name)
    ran = [(prose(run.name), run.status, f"{run.seconds:.1f}", str(run.steps), prose(run.reason))
           for run in report.probes if run.status != "not-run"]
    return ran + [(prose(", ".join(sorted(names))), "not run", "", "", prose(reason))
                  for reason, names in sorted(idle.items())]


def sources_of(report: Report, finding: Finding) -> tuple[Observation, ...]:
    """Return the observations that measured the finding's evidence."""
    names = {item.measurement for item in finding.evidence}
    return tuple(seen for seen in report.observations
                 if any(measured.name in names for measured in seen.measurements))


def curves_of(report: Report, finding: Finding) -> tuple[Series, ...]:
    """Return the series that show what the finding's evidence speaks of.

    Those named like a measurement; else those that share a telling word with one; else those of
    a probe that draws one thing only.
    """
    names = {item.measurement for item in finding.evidence}
    words = {word for name in names for word in _words(name)}
    every = [series for seen in sources_of(report, finding) for series in seen.series]
    same = tuple(series for series in every if series.name in names)
    near = tuple(series for series in every if _words(series.name) & words)
    return same or near or (tuple(every) if len({series.name for series in every}) == 1 else ())


def _words(name: str) -> frozenset[str]:
    return frozenset(name.lower().split("_")) - _VAGUE
