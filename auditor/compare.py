"""Two reports of one target: what is new, gone, changed, and what has moved. No torch in here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from auditor.finding import SEVERITIES, Finding, Severity
from auditor.observation import Json, Measurement, Scalar, encode
from auditor.report import Renderer, Report

# Two values differ if they are further apart than this many of their joint spread.
_SPREADS = 3.0
# Where no spread is known, a change below this share of the larger value is not worth a line.
_SHARE = 0.1
_SEED_NOISE = "trial_seed_noise"
_SEEN = ("fired", "clear", "not-applicable")
_SAME_RUN = ("torch", "auditor", "device", "seed")


@dataclass(frozen=True, slots=True)
class Change:
    """One rule that fired both times, otherwise.

    Attributes:
        old: The finding before.
        new: The finding now.
        says: What has changed, in words.
        worse: More severe, or at layers where it was not.
    """

    old: Finding
    new: Finding
    says: tuple[str, ...]
    worse: bool


@dataclass(frozen=True, slots=True)
class Move:
    """One measurement that changed by more than its noise.

    Attributes:
        name: Of the quantity.
        subject: Layer, parameter or feature; empty for the run.
        old: Value before.
        new: Value now.
        noise: Joint spread of the two, where known.
        unit: Of the values.
        says: What the quantity is.
    """

    name: str
    subject: str
    old: Scalar
    new: Scalar
    noise: float | None
    unit: str = ""
    says: str = ""

    @property
    def size(self) -> float:
        """How far it moved: in spreads where known, else as a share of the larger value."""
        return _distance(self.old, self.new, self.noise)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What has changed from one report to another.

    Attributes:
        old: The report before.
        new: The report now.
        appeared: Findings whose rule had not fired.
        gone: Findings whose rule fires no more, and was judged.
        changed: Rules that fired both times, otherwise.
        moved: Measurements beyond their noise, the largest first.
        lost: Rules that were judged and now were not: rule -> reason.
        notes: What makes the two hard to compare.
    """

    old: Report
    new: Report
    appeared: tuple[Finding, ...]
    gone: tuple[Finding, ...]
    changed: tuple[Change, ...]
    moved: tuple[Move, ...]
    lost: dict[str, str]
    notes: tuple[str, ...]

    def regressions(self, limit: Severity) -> tuple[Finding, ...]:
        """Return the findings that are new or worse, count, and are at least this severe."""
        worst = SEVERITIES[: SEVERITIES.index(limit) + 1]
        found = (*self.appeared, *(change.new for change in self.changed if change.worse))
        return tuple(item for item in found if item.is_open and item.severity in worst)

    def to_json(self) -> dict[str, Json]:
        """Return the comparison as a strict JSON object."""
        return {
            "schema": 1,
            "old": self.old.verdict, "new": self.new.verdict,
            "appeared": [finding.to_json() for finding in self.appeared],
            "gone": [finding.to_json() for finding in self.gone],
            "changed": [{"rule": item.new.rule, "says": list(item.says), "worse": item.worse,
                         "old": item.old.to_json(), "new": item.new.to_json()}
                        for item in self.changed],
            "moved": [{"measurement": item.name, "subject": item.subject, "old": encode(item.old),
                       "new": encode(item.new), "noise": encode(item.noise), "unit": item.unit}
                      for item in self.moved],
            "lost": dict(self.lost),
            "notes": list(self.notes),
        }


@runtime_checkable
class ComparisonRenderer(Renderer, Protocol):
    """A renderer that can also write a comparison."""

    def render_comparison(self, comparison: Comparison) -> str:
        """Return the whole text."""
        ...


def compare(old: Report, new: Report) -> Comparison:
    """Return what has changed from one report to another."""
    before, now = _by_rule(old), _by_rule(new)
    judged = {rule for rule, found in new.verdicts.items() if found.verdict in _SEEN}
    changes = (_change(before[rule], now[rule]) for rule in now if rule in before)
    return Comparison(
        old, new,
        appeared=tuple(finding for rule, finding in now.items() if rule not in before),
        gone=tuple(finding for rule, finding in before.items()
                   if rule not in now and rule in judged),
        changed=tuple(change for change in changes if change),
        moved=tuple(sorted(_moves(old, new), key=lambda move: move.size, reverse=True)),
        lost=dict(_lost(old, new)),
        notes=tuple(_notes(old, new)),
    )


def _by_rule(report: Report) -> dict[str, Finding]:
    """Return the findings by rule; of two the one that counts."""
    return {finding.rule: finding
            for finding in sorted(report.findings, key=lambda item: item.is_open)}


def _change(old: Finding, new: Finding) -> Change | None:
    ranks = SEVERITIES.index(old.severity), SEVERITIES.index(new.severity)
    added = [layer for layer in new.layers if layer not in old.layers]
    left = [layer for layer in old.layers if layer not in new.layers]
    says = [*([f"{old.severity} -> {new.severity}"] if old.severity != new.severity else []),
            *([f"also at {', '.join(added)}"] if added else []),
            *([f"no more at {', '.join(left)}"] if left else []),
            *([_standing(old, new)] if old.is_open != new.is_open else [])]
    worse = ranks[1] < ranks[0] or bool(added) or (new.is_open and not old.is_open)
    return Change(old, new, tuple(says), worse) if says else None


def _standing(old: Finding, new: Finding) -> str:
    word = "ignored" if old.ignored or new.ignored else "known"
    return f"no more {word}" if new.is_open else f"now {word}"


def _lost(old: Report, new: Report) -> Iterator[tuple[str, str]]:
    for rule, found in sorted(old.verdicts.items()):
        now = new.verdicts.get(rule)
        if found.verdict in _SEEN and (now is None or now.verdict not in _SEEN):
            yield rule, now.reason if now else "it was not selected"


def _moves(old: Report, new: Report) -> Iterator[Move]:
    before, now = _measured(old), _measured(new)
    between_seeds = _between_seeds(before, now)
    for key, item in now.items():
        other = before.get(key)
        if other is None or other.value == item.value:
            continue
        told = new.quantities.get(item.name)
        unit = told.unit if told else ""
        noise = _noise(other, item)
        if noise is None and unit == "loss":
            noise = between_seeds
        move = Move(item.name, item.subject, other.value, item.value, noise, unit,
                    told.says if told else "")
        if move.size > (_SHARE if move.noise is None else _SPREADS):
            yield move


def _measured(report: Report) -> dict[tuple[str, str], Measurement]:
    return {(item.name, item.subject): item for seen in report.observations
            for item in seen.measurements}


def _between_seeds(
    *reports: Mapping[tuple[str, str], Measurement],
) -> float | None:
    """Return the joint spread of a loss between seeds, which a loss without its own one has."""
    found = (float(seen[_SEED_NOISE, ""].value) for seen in reports if (_SEED_NOISE, "") in seen)
    spreads = [spread for spread in found if 0 < spread < math.inf]
    return math.sqrt(2) * max(spreads) if spreads else None


def _noise(old: Measurement, new: Measurement) -> float | None:
    spreads = [item.spread for item in (old, new) if item.spread and math.isfinite(item.spread)]
    # A spread that is known once stands for both.
    return math.sqrt(sum(each**2 for each in spreads) * 2 / len(spreads)) if spreads else None


def _distance(old: Scalar, new: Scalar, noise: float | None) -> float:
    if any(isinstance(value, (str, bool)) for value in (old, new)):
        return 0.0 if old == new else math.inf
    first, second = float(old), float(new)
    if not (math.isfinite(first) and math.isfinite(second)):
        return 0.0 if first == second or first != first and second != second else math.inf
    away = abs(second - first)
    return away / noise if noise else away / max(abs(first), abs(second), 1e-300)


def _notes(old: Report, new: Report) -> Iterator[str]:
    for name in _SAME_RUN:
        before, now = old.environment.get(name), new.environment.get(name)
        if before != now:
            yield f"{name} differs: {before} and {now}"
    for name in ("file", "model"):
        before, now = old.target.get(name), new.target.get(name)
        if before != now:
            yield f"the {name} differs: {before} and {now}"
