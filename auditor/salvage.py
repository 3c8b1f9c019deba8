"""The report of an audit that ended early: what had been measured is judged. No torch in here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from auditor.finding import Finding, TrialOutcome
from auditor.journal import Record
from auditor.judge import judge
from auditor.observation import Json, Observation, accounted
from auditor.report import ProbeRun, Report
from auditor.request import Request
from auditor.rule import Rule
from auditor.seeds import merged

_PHASES = {"loading": "while the target was loaded", "first steps": "during the first steps",
           "trials": "while fixes were tried"}


def salvaged(
    record: Record, asked: Request, why: str, *, seconds: float, interrupted: bool = False,
) -> Report:
    """Return the report of what was heard.

    Args:
        record: Of the audit that ended.
        asked: What it was about.
        why: It ended, as the end of a sentence.
        seconds: It took.
        interrupted: The user has ended it.
    """
    reason = f"{why} {_during(record)}".strip()
    if record.before_trials is not None:
        report = _untried(record.before_trials, reason)
    else:
        rules = _judged_rules(record, asked.rules)
        report = judge(_unjudged(record, asked.target, rules, reason), rules, asked.limits)
    note = f"The audit ended early: {reason}. What had been measured is judged."
    ended: dict[str, Json] = {"interrupted": interrupted}
    if not interrupted:
        ended["stopped"] = reason
    return replace(
        report, notes=(*report.notes, note),
        environment={**report.environment, **ended, "seconds": round(seconds, 2)})


def _during(record: Record) -> str:
    """Return what was going on at the end."""
    if record.progress is None:
        return "before the target was loaded"
    doing = record.progress.doing
    if any(run.name == doing for scene in record.scenes.values() for run in scene.probes):
        return f"during the probe {doing}"
    return _PHASES.get(doing, "before the first probe")


def _judged_rules(record: Record, rules: Sequence[Rule]) -> list[Rule]:
    """Return the rules that the audit was going to judge: a quick one leaves some out."""
    known = {rule for scene in record.scenes.values() for rule in scene.rules}
    return [rule for rule in rules if rule.id in known] if known else list(rules)


def _unjudged(record: Record, file: str, rules: Sequence[Rule], reason: str) -> Report:
    if not record.scenes:
        return Report("incomplete", target={"file": file})
    return merged([
        _of_seed(scene, record.observations.get(seed, {}).values(), record, rules, reason)
        for seed, scene in record.scenes.items()])


def _of_seed(
    scene: Report, seen: Iterable[Observation], record: Record, rules: Sequence[Rule],
    reason: str,
) -> Report:
    """Return a scene with what was observed, what failed, and why the rest is not there."""
    observations = {observation.probe: observation for observation in seen}
    doing = record.progress.doing if record.progress is not None else ""
    wanted = {name for rule in rules for name in (*rule.requires, *rule.mentions)}
    runs = []
    for run in scene.probes:
        if run.name == doing and run.name not in observations:
            failed = Observation(run.name, status="failed", reason=reason)
            yields = [scene.quantities[name] for name in run.yields]
            observations[run.name] = accounted(failed, yields)
        runs.append(_row(run, observations.get(run.name), wanted, reason))
    notes = (note for observation in observations.values() for note in observation.notes)
    return replace(
        scene, observations=tuple(observations.values()), probes=tuple(runs),
        notes=tuple(dict.fromkeys((*scene.notes, *notes))))


def _row(
    run: ProbeRun, seen: Observation | None, wanted: set[str], reason: str,
) -> ProbeRun:
    if seen is not None:
        return replace(run, status=seen.status, seconds=seen.seconds, steps=seen.steps,
                       reason=seen.reason)
    if wanted & set(run.yields):
        return replace(run, reason=f"not reached: {reason}")
    return run


def _untried(report: Report, reason: str) -> Report:
    """Return a judged report that says why its fixes were not tried."""
    return replace(report, findings=tuple(_untried_finding(finding, reason)
                                          for finding in report.findings))


def _untried_finding(finding: Finding, reason: str) -> Finding:
    if finding.causes or finding.severity == "info" or not finding.is_open:
        return finding
    return replace(finding, fixes=tuple(
        replace(fix, trial=TrialOutcome("untried", reason=reason))
        if fix.remedy and fix.trial == TrialOutcome() else fix for fix in finding.fixes))
