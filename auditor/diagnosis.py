"""Observations x rules -> a verdict for every rule, and findings with their causes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from auditor.causes import Fired, explain, hidden
from auditor.finding import Finding, Verdict
from auditor.ignores import Ignore
from auditor.judgement import Case, finding
from auditor.observation import Measurement, Observation, Scalar
from auditor.rule import Rule
from auditor.scene import Override, Scene

__all__ = ["Diagnosis", "Override", "Scene", "diagnose"]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What the rules say.

    Attributes:
        findings: Roots by severity, each followed by what it explains.
        verdicts: Rule id -> what became of it, for every rule.
        used: The user's decisions to ignore something that matched.
    """

    findings: tuple[Finding, ...]
    verdicts: Mapping[str, Verdict]
    used: frozenset[Ignore] = frozenset()


def diagnose(
    observations: Sequence[Observation], rules: Sequence[Rule], scene: Scene
) -> Diagnosis:
    """Judge what was measured.

    Args:
        observations: Of all probes that ran, each with a reason for every quantity that it could
            not measure (`observation.accounted` sees to that).
        rules: The selected rules.
        scene: The model map, places, and the limits that the user has set.
    """
    table = _Table(observations, scene.unmeasured)
    scene = replace(scene, places={**table.places, **scene.places})
    verdicts: dict[str, Verdict] = {}
    fired: list[Fired] = []
    aside: list[Finding] = []
    used: set[Ignore] = set()
    for rule in rules:
        verdict, cases, total = _judge(rule, table, scene)
        verdicts[rule.id] = verdict
        if cases:
            ignored = {case.subject: by for case in cases if (by := _ignored(rule, case, scene))}
            first, *others = _findings(rule, cases, total, ignored, scene)
            fired.append(Fired(rule, first, _at_start(rule, cases)))
            aside += others
            used.update(*ignored.values())
    for name, mask in hidden(fired, rules).items():
        if name in verdicts and verdicts[name].verdict != "not-applicable":
            verdicts[name] = Verdict("masked", f"it cannot be judged before {mask} is mended")
    standing = [item for item in fired if verdicts[item.rule.id].verdict == "fired"]
    aside = [item for item in aside if verdicts[item.rule].verdict == "fired"]
    return Diagnosis((*explain(standing, scene), *aside), verdicts, frozenset(used))


class _Table:
    """All measurements by name and subject, and why others are missing."""

    def __init__(
        self, observations: Sequence[Observation], unmeasured: Mapping[str, str]
    ) -> None:
        self.values: dict[str, dict[str, Measurement]] = {}
        self.absent: dict[str, str] = {}
        self.missed: dict[str, str] = dict(unmeasured)
        self.places = {subject: place for observation in observations
                       for subject, place in observation.places.items()}
        for observation in observations:
            self.absent.update(observation.absent)
            self.missed.update(observation.missed)
            for measurement in observation.measurements:
                self.values.setdefault(measurement.name, {})[measurement.subject] = measurement

    def subjects(self, names: Sequence[str]) -> list[str]:
        """Return the subjects for which any of the quantities has a value, as they came."""
        return list(dict.fromkeys(
            subject for name in names for subject in self.values.get(name, ()) if subject))

    def at(self, name: str, subject: str) -> Measurement | None:
        """Return the measurement of a subject, or that of the run."""
        found = self.values.get(name, {})
        return found.get(subject) or found.get("")

    def lack(self, names: Sequence[str]) -> Verdict:
        """Return the verdict on a rule that cannot be judged for want of these quantities."""
        for name in names:
            if name in self.absent:
                return Verdict("not-applicable", self.absent[name])
        for name in names:
            if name in self.missed:
                return Verdict("not-measured", self.missed[name])
        return Verdict("not-measured", f"no probe has measured {', '.join(names)}")


def _judge(rule: Rule, table: _Table, scene: Scene) -> tuple[Verdict, list[Case], int]:
    """Return the verdict, the subjects for which the rule fired, and how many were judged."""
    lacking = [name for name in rule.requires if not table.values.get(name)]
    if lacking:
        return table.lack(lacking), [], 0
    cases = _cases(rule, table, scene)
    if not cases:
        return _no_common_subject(rule, table), [], 0
    fired = [case for case in cases if rule.when.holds(case.values)]
    if fired:
        return Verdict("fired"), fired, len(cases)
    partly = [name for name in rule.requires if name in table.missed and rule.for_each != "run"]
    if partly:
        # Those that were measured are fine, the others were not looked at.
        return Verdict("not-measured", table.missed[partly[0]]), [], len(cases)
    return Verdict("clear"), [], len(cases)


def _at_start(rule: Rule, fired: Sequence[Case]) -> bool | None:
    """Tell whether it was there before the first step; None where only some of it was."""
    if rule.at_start is None:
        return None
    told = {rule.at_start.told(case.values) for case in fired}
    return told.pop() if len(told) == 1 else None


def _findings(
    rule: Rule, fired: Sequence[Case], total: int, ignored: Mapping[str, list[Ignore]],
    scene: Scene,
) -> list[Finding]:
    """Return the finding of a rule, and a second one of the subjects that the user ignores."""
    made = []
    counted = [case for case in fired if case.subject not in ignored]
    if counted:
        made.append(finding(rule, counted, total, scene))
    if ignored:
        others = [case for case in fired if case.subject in ignored]
        reasons = dict.fromkeys(str(item) for case in others for item in ignored[case.subject])
        made.append(replace(finding(rule, others, total, scene), ignored="; ".join(reasons)))
    return made


def _ignored(rule: Rule, case: Case, scene: Scene) -> list[Ignore]:
    places = [scene.place(rule.place, case.subject)]
    if case.subject:
        places.append(scene.place("layer", case.subject))
    return [item for item in scene.ignores
            if item.covers((rule.id, rule.category), case.subject, places)]


def _cases(rule: Rule, table: _Table, scene: Scene) -> list[Case]:
    """Return the subjects for which everything that the rule requires was measured."""
    limits: dict[str, Scalar] = {name: item.default for name, item in rule.thresholds.items()}
    limits.update({name: override.value
                   for name, override in scene.thresholds.get(rule.id, {}).items()
                   if name in limits})
    subjects = [""] if rule.for_each == "run" else table.subjects(rule.requires)
    cases = []
    for subject in _in_model_order(subjects, scene):
        measured = {name: found for name in (*rule.requires, *rule.mentions)
                    if (found := table.at(name, subject)) is not None}
        if all(name in measured for name in rule.requires):
            values = {name: item.value for name, item in measured.items()}
            cases.append(Case(subject, measured, {**limits, **values}))
    return cases


def _in_model_order(subjects: Sequence[str], scene: Scene) -> list[str]:
    """Return the subjects in call order; those that stand nowhere keep their order at the end."""
    orders = {subject: scene.order(subject) for subject in subjects}
    last = len(scene.layers)
    return sorted(subjects, key=lambda subject: (
        last if (order := orders[subject]) is None else order))


def _no_common_subject(rule: Rule, table: _Table) -> Verdict:
    verdict = table.lack(rule.requires)
    if verdict.reason.startswith("no probe"):
        names = ", ".join(rule.requires)
        return Verdict("not-measured", f"no {rule.for_each} has a value of all of {names}")
    return verdict
