"""Judges a report's observations: now, or again later from a saved file. No torch in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from auditor.diagnosis import diagnose
from auditor.evidence import with_trials
from auditor.grades import Severity
from auditor.ignores import Ignore, comments, unused_notes
from auditor.observation import Place
from auditor.report import Overall, Report, RuleSummary
from auditor.rule import Rule
from auditor.scene import Override, Scene

_ROLES = ("optimizer", "loader", "loss", "model")


@dataclass(frozen=True)
class Limits:
    """What the user has set otherwise than the packs.

    Attributes:
        thresholds: Rule id -> threshold name -> value and source.
        severities: Rule id -> severity.
        ignores: Findings to show as ignored; comments in the source files come on top.
        known: All rules and categories that exist; if empty, the names in comments are believed.
    """

    thresholds: Mapping[str, Mapping[str, Override]] = field(default_factory=dict)
    severities: Mapping[str, Severity] = field(default_factory=dict)
    ignores: tuple[Ignore, ...] = ()
    known: tuple[str, ...] = ()


def judge(report: Report, rules: Sequence[Rule], limits: Limits | None = None) -> Report:
    """Return the report with findings and verdicts of these rules, from its own observations.

    Comments that ignore a rule are read from the source files that the report names.
    """
    limits = limits or Limits()
    in_code, problems = comments(report, limits.known)
    limits = replace(limits, ignores=(*limits.ignores, *in_code))
    diagnosis = diagnose(report.observations, rules, scene_of(report, limits))
    judged = replace(
        report,
        findings=diagnosis.findings,
        verdicts=diagnosis.verdicts,
        rules=summaries(rules, limits),
    )
    unused = unused_notes(limits.ignores, diagnosis.used, judged)
    judged = with_trials(judged, report)
    return replace(judged, verdict=overall(judged), remarks=(*problems, *unused))


def _summary(rule: Rule, limits: Limits) -> RuleSummary:
    changed = limits.thresholds.get(rule.id, {})
    effective = {name: changed[name].value if name in changed else threshold.default
                 for name, threshold in rule.thresholds.items()}
    return RuleSummary(rule.category, rule.severity, rule.title.text, rule.title_pass, effective)


def summaries(rules: Sequence[Rule], limits: Limits) -> dict[str, RuleSummary]:
    """Return what a report says of the rules themselves."""
    return {rule.id: _summary(rule, limits) for rule in rules}


def scene_of(report: Report, limits: Limits) -> Scene:
    """Return what the diagnosis has to know besides observations and rules."""
    places = report.target.get("places")
    roles = places if isinstance(places, dict) else {}
    found = {f"{role}_place": _place(roles.get(role)) for role in _ROLES}
    observed = {observation.probe for observation in report.observations}
    return Scene(
        layers=report.layers,
        places={subject: place for observation in report.observations
                for subject, place in observation.places.items()},
        optimizer=str(report.target.get("optimizer", "")),
        thresholds=limits.thresholds,
        severities=limits.severities,
        ignores=limits.ignores,
        unmeasured={
            name: run.reason or f"the probe {run.name} was not run"
            for run in report.probes if run.name not in observed for name in run.yields
        },
        quantities=report.quantities,
        **found,
    )


def _place(raw: object) -> Place | None:
    return Place.from_json(raw) if isinstance(raw, dict) else None


def overall(report: Report) -> Overall:
    """Return the verdict of a report by its findings and by what could not be measured."""
    if report.count("error"):
        return "fail"
    if report.count("warning"):
        return "warn"
    return "incomplete" if report.missed else "pass"
