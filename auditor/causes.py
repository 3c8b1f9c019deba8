"""Which finding explains which, which rule another one hides, and the order to read them in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from auditor.finding import SEVERITIES, Finding, Severity
from auditor.packfile import Category
from auditor.rule import Rule
from auditor.scene import Scene, lineage

# An activation is explained by what the signal has passed before it. All other faults reach the
# whole model: a scale or a gradient in both directions, data and wiring everywhere.
_PASSED_ON: frozenset[Category] = frozenset({"activation", "initialization"})

# How the fit comes out, and that no rate learns, are outcomes: they name no cause themselves.
_NO_RATE = "no-learning-at-any-rate"


@dataclass(frozen=True, slots=True)
class Fired:
    """A finding together with the rule that made it.

    Attributes:
        rule: That fired.
        finding: What it says.
        at_start: It was there before the first step; None if that is not known, or of only a part.
    """

    rule: Rule
    finding: Finding
    at_start: bool | None = None

    @property
    def weight(self) -> int:
        """0 for an error, 1 for a warning, 2 for an info."""
        return SEVERITIES.index(self.finding.severity)

    @property
    def order(self) -> tuple[int, int, str]:
        """Errors before warnings, then as the catalogue goes."""
        return (self.weight, *self.rule.rank)


def hidden(fired: Sequence[Fired], rules: Sequence[Rule]) -> dict[str, str]:
    """Return which rules cannot be judged: rule -> the finding that has to be mended first.

    A finding that is hidden itself hides nothing; of two that hide each other, the one whose
    category comes first stands. An info finding hides only info rules.
    """
    names = {item.rule.id: item for item in fired}
    severities = {rule.id: rule.severity for rule in rules}
    severities.update({name: item.finding.severity for name, item in names.items()})
    hiders = {
        rule.id: [item.rule.id for item in sorted(fired, key=lambda item: item.order)
                  if _hides(item, rule.id, severities[rule.id])]
        for rule in rules
    }
    real = _without_cycles({name: hiders[name] for name in names}, names)

    @cache
    def stands(name: str) -> bool:
        return not any(stands(other) for other in real[name])

    standing = {
        name: next((other for other in real.get(name, found) if stands(other)), None)
        for name, found in hiders.items()
    }
    return {name: other for name, other in standing.items() if other is not None}


def _hides(item: Fired, name: str, severity: Severity) -> bool:
    return (name in item.rule.hides and name != item.rule.id
            and (item.finding.severity != "info" or severity == "info"))


def explain(fired: Sequence[Fired], scene: Scene) -> tuple[Finding, ...]:
    """Return the findings with causes and consequences, causes above what they explain."""
    spots = {item.rule.id: _Spot.of(item, scene) for item in fired}
    fired = _restored(fired, spots, scene)
    names = {item.rule.id: item for item in fired}
    causes = {
        item.rule.id: [
            name for name in dict.fromkeys(item.rule.causes)
            if name in names and name != item.rule.id and _explains(names[name], item, spots)
        ]
        for item in fired
    }
    causes = _without_cycles(causes, names)
    consequences: dict[str, list[str]] = {name: [] for name in names}
    for item in sorted(fired, key=lambda item: item.order):
        for cause in causes[item.rule.id]:
            consequences[cause].append(item.rule.id)
    return tuple(
        replace(names[name].finding, causes=tuple(causes[name]),
                consequences=tuple(consequences[name]))
        for name in _reading_order(fired, causes, consequences)
    )


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where a finding's subjects stand in the model.

    Attributes:
        modules: The modules that the subjects belong to; calls of the root are themselves.
        around: These, and all that hold them.
        first: Of them in call order; None if unknown.
        last: Of them in call order; None if unknown.
    """

    modules: frozenset[str]
    around: frozenset[str]
    first: int | None
    last: int | None

    @classmethod
    def of(cls, item: Fired, scene: Scene) -> _Spot:
        """Return where a finding's subjects stand."""
        subjects = item.finding.layers
        if item.rule.for_each == "parameter":
            modules = {subject.rpartition(".")[0] or subject for subject in subjects}
        else:
            modules = {subject.partition(":")[0] or subject for subject in subjects}
        found = [order for subject in subjects if (order := scene.order(subject)) is not None]
        return cls(
            modules=frozenset(modules),
            around=frozenset(path for module in modules for path in lineage(module)),
            first=min(found, default=None), last=max(found, default=None),
        )

    def shares_a_layer(self, other: _Spot) -> bool:
        """Tell whether a layer of one is, holds, or lies in a layer of the other."""
        return not (self.modules.isdisjoint(other.around) and other.modules.isdisjoint(self.around))

    def begins_before(self, other: _Spot) -> bool:
        """Tell whether some layer stands before some layer of the other."""
        return self.first is not None and other.last is not None and self.first < other.last


def _restored(
    fired: Sequence[Fired], spots: Mapping[str, _Spot], scene: Scene,
) -> list[Fired]:
    """Give a finding that was toned down to an information its weight back where it is needed.

    That is where it alone explains how the fit comes out, or that no rate learns: a slow rate is
    worth a word, and a fault where the model stays behind what simple means reach.
    """
    names = {item.rule.id: item for item in fired}
    for item in sorted(fired, key=lambda item: item.order):
        is_outcome = item.rule.category == "fit" or item.rule.id == _NO_RATE
        if item.finding.severity == "info" or not is_outcome:
            continue
        able = [cause for name in item.rule.causes if (cause := names.get(name)) is not None
                and cause.rule is not item.rule and _can_explain(cause, item, spots)]
        toned = [cause for cause in able
                 if cause.finding.severity == "info" != cause.rule.severity
                 and cause.rule.id not in scene.severities]
        if toned and all(cause.finding.severity == "info" for cause in able):
            severity = max(item.finding.severity, toned[0].rule.severity, key=SEVERITIES.index)
            names[toned[0].rule.id] = replace(
                toned[0], finding=replace(toned[0].finding, severity=severity))
    return list(names.values())


def _explains(cause: Fired, item: Fired, spots: Mapping[str, _Spot]) -> bool:
    if cause.finding.severity == "info" and item.finding.severity != "info":
        return False
    return _can_explain(cause, item, spots)


def _can_explain(cause: Fired, item: Fired, spots: Mapping[str, _Spot]) -> bool:
    if _comes_later(cause, item):
        return False
    if {cause.rule.for_each, item.rule.for_each} & {"run", "feature"}:
        return True
    if cause.rule.category != "activation" or item.rule.category not in _PASSED_ON:
        return True
    there, here = spots[cause.rule.id], spots[item.rule.id]
    return there.shares_a_layer(here) or there.begins_before(here)


def _comes_later(cause: Fired, item: Fired) -> bool:
    """Tell whether the cause came after what it is to explain.

    No rate and no order of the samples explains what was there before the first step; and what
    came with the steps does not explain the rate that may have brought it about.
    """
    acts_by_steps = cause.rule.category == "learning-rate" or cause.rule.id == "unshuffled-loader"
    if acts_by_steps and item.at_start:
        return True
    return (item.rule.category == "learning-rate" and cause.at_start is False
            and item.rule.id in cause.rule.causes)


def _without_cycles(
    causes: Mapping[str, list[str]], names: Mapping[str, Fired]
) -> dict[str, list[str]]:
    """Return the causes without those that lead in a circle.

    Inside a circle only a rule that comes earlier in the catalogue can explain a later one.
    """
    above = {name: _ancestors(name, causes) for name in causes}
    return {
        name: [
            cause for cause in found
            if name not in above[cause] or names[cause].rule.rank < names[name].rule.rank
        ]
        for name, found in causes.items()
    }


def _ancestors(name: str, causes: Mapping[str, list[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = list(causes[name])
    while waiting:
        cause = waiting.pop()
        if cause not in seen:
            seen.add(cause)
            waiting.extend(causes[cause])
    return seen


def _reading_order(
    fired: Sequence[Fired], causes: Mapping[str, list[str]],
    consequences: Mapping[str, list[str]],
) -> list[str]:
    """Return roots by weight, each followed by those consequences whose causes all stand above."""
    told: dict[str, None] = {}

    def tell(name: str) -> None:
        if name in told or any(cause not in told for cause in causes[name]):
            return
        told[name] = None
        for consequence in consequences[name]:
            tell(consequence)

    for item in sorted(fired, key=lambda item: item.order):
        tell(item.rule.id)
    return list(told)
