"""One rule against what was measured: which subjects fire, how badly, with which evidence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from keyword import iskeyword

from auditor.condition import Comparison
from auditor.finding import SEVERITIES, Confidence, Evidence, Finding, Fix, Severity
from auditor.observation import Measurement, Scalar
from auditor.rule import FixTemplate, Rule
from auditor.scene import Scene

# More subjects than this are one story told again.
_SHOWN_SUBJECTS = 5
# "fc1, fc2 and 3 more": up to three names are said.
_SAID_SUBJECTS = 3


@dataclass(frozen=True, slots=True)
class Case:
    """One subject of a rule, with everything its conditions and texts can speak of.

    Attributes:
        subject: Layer, parameter or feature; empty for the run.
        measured: Quantity -> measurement.
        values: The measured values and the effective limits by name.
    """

    subject: str
    measured: Mapping[str, Measurement]
    values: Mapping[str, Scalar]


def finding(rule: Rule, fired: Sequence[Case], total: int, scene: Scene) -> Finding:
    """Return the finding of a rule that fired.

    Args:
        rule: The rule.
        fired: The subjects for which it fired, in the order of the model; at least one.
        total: How many subjects were judged.
        scene: For places, limits, units.
    """
    ranked = _worst_first(rule, fired)
    severities = [_severity(rule, case, scene) for case in ranked]
    severity = min(severities, key=SEVERITIES.index)
    # The texts speak of the worst of those that make the finding as severe as it is.
    worst = ranked[severities.index(severity)]
    subjects = tuple(case.subject for case in fired if case.subject)
    texts: dict[str, Scalar] = {
        **worst.values, "layer": worst.subject, "layers": in_words(subjects),
        "layer_code": in_code(worst.subject), "layers_code": ", ".join(map(in_code, subjects)),
        "count": len(fired), "total": total, "optimizer": scene.optimizer or "the optimizer",
    }
    return Finding(
        rule=rule.id, category=rule.category, severity=severity,
        confidence=_confidence(rule, worst),
        title=rule.title.fill(texts), message=rule.message.fill(texts), why=rule.why.fill(texts),
        layers=subjects,
        place=scene.place(rule.place, worst.subject),
        evidence=_evidence(rule, ranked, worst, scene),
        fixes=tuple(
            _fix(template, texts) for template in rule.fixes
            if not template.summary.lacks(texts)
            and (template.when is None or template.when.holds(worst.values))
        ),
        references=rule.references,
    )


def _fix(template: FixTemplate, texts: Mapping[str, Scalar]) -> Fix:
    return Fix(
        summary=template.summary.fill(texts),
        # A snippet with a hole is no code; the words alone still help.
        code="" if template.code.lacks(texts) else template.code.fill(texts),
        safety=template.safety.fill(texts), remedy=template.remedy,
    )


def in_words(subjects: Sequence[str]) -> str:
    """Return "fc1", "fc1, fc2 and fc3", or "fc1, fc2 and 3 more"."""
    names = list(subjects)
    if len(names) > _SAID_SUBJECTS:
        names = [*names[: _SAID_SUBJECTS - 1], f"{len(names) - _SAID_SUBJECTS + 1} more"]
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


def in_code(subject: str) -> str:
    """Return a layer or parameter as Python finds it: "model.features[0].weight".

    A call in `forward` has no object of its own; the module that makes it is given.
    """
    code = "model"
    for part in subject.partition(":")[0].split("."):
        if part.isdecimal():
            code += f"[{part}]"
        elif part.isidentifier() and not iskeyword(part):
            code += f".{part}"
        elif part:
            code = f"getattr({code}, {part!r})"
    return code


def _severity(rule: Rule, case: Case, scene: Scene) -> Severity:
    if rule.id in scene.severities:
        return scene.severities[rule.id]
    return next((severity for severity, condition in rule.severity_when
                 if condition.holds(case.values)), rule.severity)


def _confidence(rule: Rule, case: Case) -> Confidence:
    return next((confidence for confidence, condition in rule.confidence_when
                 if condition.holds(case.values)), rule.confidence)


def _worst_first(rule: Rule, fired: Sequence[Case]) -> list[Case]:
    """Return the cases, those first that go furthest beyond the limit of the first quantity."""
    first = [item for item in rule.when.comparisons
             if item.name == rule.requires[0] and item.operator not in ("is", "is not")]
    return sorted(fired, key=lambda case: max(
        (_excess(item, case.values) for item in first), default=0.0), reverse=True)


def _excess(item: Comparison, values: Mapping[str, Scalar]) -> float:
    """Return how far a value goes beyond its limit: in a logarithm where both are positive."""
    if not item.held(values):
        return -math.inf
    value = float(values[item.name])
    limit = float(values[item.limit]) if isinstance(item.limit, str) else float(item.limit or 0.0)
    # On the limit, also where both are infinite.
    if value == limit or item.operator == "!=":
        return 0.0
    if value >= 0 and limit > 0:
        # The quotient of the two can leave the range of a float.
        away = math.log(value) - math.log(limit) if value > 0 else -math.inf
    else:
        away = value - limit
    return away if item.operator in (">", ">=") else -away


def _evidence(
    rule: Rule, ranked: Sequence[Case], worst: Case, scene: Scene
) -> tuple[Evidence, ...]:
    """Return the comparisons that held, worst subjects first, then what the texts mention."""
    shown = [worst, *(case for case in ranked if case is not worst)][:_SHOWN_SUBJECTS]
    entries = [
        _compared(rule, item, case, scene)
        for case in shown for item in rule.when.comparisons if item.held(case.values)
    ]
    entries += [
        _plain(case_measurement, scene)
        for name in rule.mentions
        if (case_measurement := worst.measured.get(name)) is not None
        and not isinstance(case_measurement.value, str)
    ]
    # A value of the run is the same for every subject; it is shown once.
    return tuple(dict.fromkeys(entries))


def _compared(rule: Rule, item: Comparison, case: Case, scene: Scene) -> Evidence:
    entry = _plain(case.measured[item.name], scene)
    if item.limit is None:
        return entry
    limit, name, source = item.limit, "", "pack"
    if isinstance(limit, str):
        name = limit
        source = "measured"
        if name in rule.thresholds:
            override = scene.thresholds.get(rule.id, {}).get(name)
            source = override.source if override else "pack"
        limit = float(case.values[name])
    unit = entry.unit or (rule.thresholds[name].unit if name in rule.thresholds else "")
    return Evidence(
        measurement=entry.measurement, value=entry.value, says=entry.says, layer=entry.layer,
        comparison=item.operator, threshold=limit, threshold_name=name, threshold_source=source,
        unit=unit, spread=entry.spread,
    )


def _plain(measurement: Measurement, scene: Scene) -> Evidence:
    quantity = scene.quantities.get(measurement.name)
    return Evidence(
        measurement=measurement.name, value=measurement.value,
        says=quantity.says if quantity else "", layer=measurement.subject,
        unit=quantity.unit if quantity else "", spread=measurement.spread,
    )
