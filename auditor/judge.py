"""Judges a report's observations: now, or again later from a saved file. No torch in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from auditor.diagnosis import diagnose
from auditor.finding import Severity, Verdict
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
    """

    thresholds: Mapping[str, Mapping[str, Override]] = field(default_factory=dict)
    severities: Mapping[str, Severity] = field(default_factory=dict)


def judge(report: Report, rules: Sequence[Rule], limits: Limits | None = None) -> Report:
    """Return the report with findings and verdicts of these rules, from its own observations."""
    diagnosis = diagnose(report.observations, rules, scene_of(report, limits or Limits()))
    judged = replace(
        report,
        findings=diagnosis.findings,
        verdicts=diagnosis.verdicts,
        rules={rule.id: RuleSummary(rule.category, rule.severity, rule.title.text,
                                    rule.title_pass) for rule in rules},
    )
    return replace(judged, verdict=_overall(judged))


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
        unmeasured={
            name: run.reason or f"the probe {run.name} was not run"
            for run in report.probes if run.name not in observed for name in run.yields
        },
        quantities=report.quantities,
        **found,
    )


def _place(raw: object) -> Place | None:
    return Place.from_json(raw) if isinstance(raw, dict) else None


def _overall(report: Report) -> Overall:
    if report.count("error"):
        return "fail"
    if report.count("warning"):
        return "warn"
    if any(_unseen(verdict) for verdict in report.verdicts.values()):
        return "incomplete"
    return "pass"


def _unseen(verdict: Verdict) -> bool:
    return verdict.verdict == "not-measured"
