"""A rule that fired, with its evidence and its fixes; and the verdict that every rule gets."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from auditor.grades import Confidence as Confidence
from auditor.grades import Severity as Severity
from auditor.observation import Json, Place, Scalar, decode, encode, encode_tree, listed

VerdictName: TypeAlias = Literal["fired", "clear", "not-applicable", "not-measured", "masked"]
TrialStatus: TypeAlias = Literal["helps", "no-effect", "harms", "untried"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


@dataclass(frozen=True, slots=True)
class Evidence:
    """One measured value beside the effective limit that it was compared with.

    Attributes:
        measurement: Name of the quantity.
        value: What was measured.
        says: What the quantity is, in words.
        layer: The subject (layer, parameter, feature); empty for the run.
        comparison: "<", "<=", ">", ">=", "==", "!=" between value and threshold, or "".
        threshold: The effective limit; None for a flag or a value shown without a limit.
        threshold_name: Its name in the pack.
        threshold_source: "pack", "configuration", "command line", or "measured" where the limit
            is another measured quantity.
        unit: Of value and threshold.
        spread: Standard deviation over seeds or batches, where known.
    """

    measurement: str
    value: Scalar
    says: str = ""
    layer: str = ""
    comparison: str = ""
    threshold: float | None = None
    threshold_name: str = ""
    threshold_source: str = ""
    unit: str = ""
    spread: float | None = None


@dataclass(frozen=True, slots=True)
class TrialOutcome:
    """What happened when a fix was tried.

    Attributes:
        status: The verdict of the paired comparison.
        reason: Why it was not tried, or how the verdict was reached.
        before: Measured on the target as it is: measure -> value, or a list that is a curve over
            the steps of the trial (mean over seeds), its last value being the result.
        after: The same on the mended copy.
        resolves: Rules that no longer fired on the mended copy.
        steps: Of each run; 0 when nothing was run.
        seeds: Runs of each version.
    """

    status: TrialStatus = "untried"
    reason: str = ""
    before: Mapping[str, Json] = field(default_factory=dict)
    after: Mapping[str, Json] = field(default_factory=dict)
    resolves: tuple[str, ...] = ()
    steps: int = 0
    seeds: int = 0


@dataclass(frozen=True, slots=True)
class Fix:
    """One concrete change: words, code with the user's own names, and what a trial showed."""

    summary: str
    code: str = ""
    safety: str = ""
    remedy: str = ""
    trial: TrialOutcome = field(default_factory=TrialOutcome)


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that fired.

    Attributes:
        rule: The rule's id.
        category: Of the rule.
        severity: After `severity_when`.
        confidence: How sure the rule is, after `confidence_when`.
        title: The thing, what it does, the number.
        message: Measurement, limit, meaning, in full sentences.
        why: The mechanism, one or two sentences.
        layers: The layers, parameters or features that it is about, in the order of the model.
        place: The source line of the worst of them (or of the optimizer, loader, loss).
        evidence: Measured against effective threshold.
        causes: Rules that fired and explain this one; empty for a root cause.
        consequences: Rules that fired and are explained by this one.
        fixes: The best first.
        references: Papers and documentation.
        known: The baseline already holds it, so it does not fail the run.
        ignored: Where the user has said to ignore it, and why; empty when they have not.
    """

    rule: str
    category: str
    severity: Severity
    confidence: Confidence
    title: str
    message: str
    why: str = ""
    layers: tuple[str, ...] = ()
    place: Place | None = None
    evidence: tuple[Evidence, ...] = ()
    causes: tuple[str, ...] = ()
    consequences: tuple[str, ...] = ()
    fixes: tuple[Fix, ...] = ()
    references: tuple[str, ...] = ()
    known: bool = False
    ignored: str = ""

    @property
    def is_open(self) -> bool:
        """Neither known nor ignored: it counts for the verdict and the exit code."""
        return not (self.known or self.ignored)

    @property
    def fingerprint(self) -> str:
        """A stable id from the rule and the layers, never from numbers."""
        text = "\0".join((self.rule, *self.layers))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Json]:
        """Return the finding as a JSON object of schema 1."""
        return {
            "rule": self.rule,
            "category": self.category,
            "severity": self.severity,
            "confidence": self.confidence,
            "title": self.title,
            "message": self.message,
            "why": self.why,
            "layers": list(self.layers),
            "place": self.place.to_json() if self.place else None,
            "evidence": [_evidence_json(item) for item in self.evidence],
            "causes": list(self.causes),
            "consequences": list(self.consequences),
            "fixes": [_fix_json(fix) for fix in self.fixes],
            "references": list(self.references),
            "known": self.known,
            "ignored": self.ignored,
            "fingerprint": self.fingerprint,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> Finding:
        """Return the finding that `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: The data is not a finding.
        """
        raw: Any = {key: value for key, value in data.items() if key != "fingerprint"}
        raw["place"] = Place.from_json(raw["place"]) if raw.get("place") else None
        raw["evidence"] = tuple(_evidence_from_json(item) for item in listed(raw, "evidence"))
        raw["fixes"] = tuple(_fix_from_json(item) for item in listed(raw, "fixes"))
        for key in ("layers", "causes", "consequences", "references"):
            raw[key] = listed(raw, key)
        return cls(**raw)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one rule on this run, with the reason where it did not fire or clear."""

    verdict: VerdictName
    reason: str = ""


def _evidence_json(item: Evidence) -> dict[str, Json]:
    return {name: encode(getattr(item, name)) for name in Evidence.__slots__}


def _fix_json(fix: Fix) -> dict[str, Json]:
    trial = fix.trial
    return {
        "summary": fix.summary, "code": fix.code, "safety": fix.safety, "remedy": fix.remedy,
        "trial": {
            "status": trial.status, "reason": trial.reason, "before": encode_tree(trial.before),
            "after": encode_tree(trial.after), "resolves": list(trial.resolves),
            "steps": trial.steps, "seeds": trial.seeds,
        },
    }


def _evidence_from_json(raw: Any) -> Evidence:
    numbers = {name: decode(raw[name]) for name in ("value", "threshold", "spread")
               if raw.get(name) is not None}
    return Evidence(**{**raw, **numbers})


def _fix_from_json(raw: Any) -> Fix:
    trial = {**raw["trial"], "resolves": listed(raw["trial"], "resolves")}
    return Fix(**{**raw, "trial": TrialOutcome(**trial)})
