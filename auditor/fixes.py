"""Tries the fixes of a judged report inside the time that is left."""

from __future__ import annotations

import math
import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace

from auditor import worktime
from auditor.candidate import Candidate
from auditor.collected import Bounds, Depth
from auditor.errors import AuditorError
from auditor.evidence import MOVING, is_tried, learns_nothing
from auditor.isolation import undisturbed
from auditor.journal import Journal
from auditor.judge import overall
from auditor.observation import Json
from auditor.plan import without_trials
from auditor.probe import Probe
from auditor.progress import Progress
from auditor.remedy import Remedy
from auditor.report import Report
from auditor.rule import Rule
from auditor.session import Session
from auditor.settings import Settings
from auditor.store import BatchStore
from auditor.target import Target
from auditor.tryout import LEAST_STEPS, Tryout

# What the probes leave of the budget for the trials.
RESERVE = 0.2
# One look at a mended copy by the cheap probes; with the race of learning rates.
_LOOK_SECONDS, _LONG_LOOK_SECONDS = 5.0, 15.0
# With a large budget a look may take this part of what is left.
_LOOK_SHARE, _LONG_LOOK_SHARE = 0.05, 0.15


@dataclass(frozen=True)
class Audited:
    """What was audited, for the trials.

    Attributes:
        target: As it is.
        rules: The selected rules.
        probes: Installed ones by name.
        remedies: Installed ones by name.
        settings: Of the audit.
        step_seconds: Of one training step; 0 while unknown.
    """

    target: Target
    rules: Sequence[Rule]
    probes: Mapping[str, type[Probe]]
    remedies: Mapping[str, type[Remedy]]
    settings: Settings
    step_seconds: float


def fixes_to_try(report: Report, remedies: Container[str]) -> int:
    """Return how many fixes of a judged report a remedy can try."""
    return sum(fix.remedy in remedies for finding in report.findings
               if is_tried(report, finding) for fix in finding.fixes)


def too_slow_to_try(step_seconds: float, seconds: float) -> bool:
    """Tell whether so many seconds are too few for the trial of a single fix."""
    return LEAST_STEPS * step_seconds > seconds


def tried(
    report: Report, audited: Audited, deadline: float,
) -> tuple[Report, Mapping[str, Candidate]]:
    """Return the report with what its fixes do, and the best one for each finding.

    Args:
        report: Judged.
        audited: Of the report.
        deadline: `time.monotonic()` at which the trials end.
    """
    wanted = fixes_to_try(report, audited.remedies)
    if not wanted:
        return report, {}
    left, worked = deadline - time.monotonic(), worktime.seconds()
    audited.settings.on_progress(
        Progress("trials", "tries the fixes on copies", 0, wanted, max(left, 0.0)))
    with undisturbed(), audited.target.surroundings():
        store = BatchStore(audited.target, audited.settings.seed)
        try:
            tryout = Tryout(report, Bounds(
                audited.target, store, audited.remedies, audited.settings.seed,
                audited.step_seconds, deadline,
                lambda *version: _again(report, audited, *version, deadline=deadline),
                audited.settings.workers))
            report = tryout.run()
            return _timed(report, seconds=left - (deadline - time.monotonic()),
                          training_seconds=worktime.seconds() - worked), tryout.chosen
        finally:
            store.close()


def _timed(report: Report, **spent: float) -> Report:
    """Return the report with its verdict by all findings, and with the time of the trials."""
    report = replace(report, verdict=overall(report))
    times: dict[str, Json] = {
        name: round(known + more, 2) for name, more in spent.items()
        if isinstance(known := report.environment.get(name), (int, float)) and not math.isnan(more)}
    return replace(report, environment={**report.environment, **times})


def _again(
    report: Report, audited: Audited, target: Target, store: BatchStore, depth: Depth, *,
    deadline: float,
) -> Report:
    """Audit a mended copy with the probes of the rules that matter now."""
    long = depth != "cheap"
    # Where nothing was learned, a mended copy may be the first to show a signal and a gradient.
    moves = long or learns_nothing(report)
    verdicts = {rule: found.verdict for rule, found in report.verdicts.items()}
    rules = [rule for rule in audited.rules
             if verdicts.get(rule.id) in ("fired", "masked") or (moves and rule.category in MOVING)]
    if depth == "hidden":
        # What has fired was not hidden; asked again is only what no training takes.
        untrained, _ = without_trials(audited.probes, rules)
        rules = [rule for rule in rules if rule in untrained or rule.category in MOVING
                 or verdicts.get(rule.id) == "masked"]
    left = max(deadline - time.monotonic(), 0.0)
    most = max(_LONG_LOOK_SECONDS, _LONG_LOOK_SHARE * left) if long else max(
        _LOOK_SECONDS, _LOOK_SHARE * left)
    settings = replace(
        audited.settings, budget_seconds=min(most, left),
        quick=not long, notes=(), on_progress=lambda progress: None, journal=Journal())
    try:
        return Session(target, rules, audited.probes, settings, store).run()
    except AuditorError:
        # The mended copy does not run: nothing can be said of it.
        return Report("incomplete")
