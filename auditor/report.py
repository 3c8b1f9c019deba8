"""The one serialisable result of an audit; the only thing that a renderer reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from auditor.errors import AuditFailed, ObservationError
from auditor.finding import SEVERITIES, Finding, Severity, Verdict
from auditor.jointtrial import JointTrial
from auditor.observation import Json, Observation, Place, Quantity, encode_tree, listed
from auditor.typed import misfit

SCHEMA = 1
_LISTS = ("findings", "layers", "observations", "probes", "notes")
Overall: TypeAlias = Literal["fail", "warn", "pass", "incomplete"]


@dataclass(frozen=True, slots=True)
class RuleSummary:
    """What a report says of a rule that did not fire (and the help text of one that did).

    `limits` holds its effective thresholds by name.
    """

    category: str
    severity: Severity
    title: str
    title_pass: str
    limits: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProbeRun:
    """How one probe went.

    Attributes:
        name: Of the probe.
        status: "measured", "not-applicable", "failed" or "not-run".
        seconds: Wall time.
        steps: Training steps taken.
        reason: Why it failed, does not apply or was not run.
        yields: Names of the quantities that it can measure.
    """

    name: str
    status: str
    seconds: float = 0.0
    steps: int = 0
    reason: str = ""
    yields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layer:
    """One row of the model map.

    Attributes:
        path: Dotted name in `named_modules`, or `path:op` for a call in `forward`.
        kind: Class name or function name.
        parameters: Number of its own trainable and frozen parameters.
        place: The line that makes or calls it.
    """

    path: str
    kind: str
    parameters: int = 0
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that one audit found.

    Attributes:
        verdict: "fail" with any error, "warn" with any warning, "incomplete" when nothing fired
            but something that had to be measured was not.
        findings: Roots before their consequences, errors before warnings.
        verdicts: Rule id -> what became of it; every selected rule is here.
        rules: Rule id -> titles and severity.
        target: File, model, parameters, data and optimizer in words.
        layers: The model map in call order.
        environment: Versions, device, seed, command.
        observations: What the probes measured.
        probes: How the probes went.
        joint: What all fixes do together; None with fewer than two that were tried.
        notes: Sentences for the reader ("the optimizer was not given: AdamW(1e-3) was used").
        remarks: Sentences of the judgement (an ignore that matches nothing); made anew each time.
        quantities: What the installed probes can measure, for units and words.
        version: Of the auditor.
    """

    verdict: Overall
    findings: tuple[Finding, ...] = ()
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    rules: Mapping[str, RuleSummary] = field(default_factory=dict)
    target: Mapping[str, Json] = field(default_factory=dict)
    layers: tuple[Layer, ...] = ()
    environment: Mapping[str, Json] = field(default_factory=dict)
    observations: tuple[Observation, ...] = ()
    probes: tuple[ProbeRun, ...] = ()
    joint: JointTrial | None = None
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    quantities: Mapping[str, Quantity] = field(default_factory=dict)
    version: str = ""

    @property
    def roots(self) -> tuple[Finding, ...]:
        """The findings that nothing else explains."""
        return tuple(finding for finding in self.findings if not finding.causes)

    @property
    def sentences(self) -> tuple[str, ...]:
        """Notes and remarks, each once."""
        return tuple(dict.fromkeys((*self.notes, *self.remarks)))

    @property
    def missed(self) -> tuple[str, ...]:
        """The rules whose measurements could not be made."""
        return tuple(rule for rule, found in self.verdicts.items()
                     if found.verdict == "not-measured")

    def count(self, severity: Severity) -> int:
        """Return how many findings have this severity, known and ignored ones left out."""
        return sum(f.severity == severity and f.is_open for f in self.findings)

    def reaches(self, limit: Severity) -> bool:
        """Tell whether any finding that is not known or ignored is at least this severe."""
        return bool(self.at_least(limit))

    def at_least(self, limit: Severity) -> tuple[Finding, ...]:
        """Return the findings, known and ignored ones left out, that are at least this severe."""
        worst = SEVERITIES[: SEVERITIES.index(limit) + 1]
        return tuple(f for f in self.findings if f.is_open and f.severity in worst)

    def raise_on(self, limit: Severity) -> None:
        """Do nothing, unless a finding that is not known or ignored is at least this severe.

        Raises:
            AuditFailed: There is one; the message lists them with their places.
        """
        found = self.at_least(limit)
        if found:
            raise AuditFailed(_told(found))

    def to_json(self) -> dict[str, Json]:
        """Return the report as a strict JSON object, schema 1."""
        return {
            "schema": SCHEMA,
            "auditor": self.version,
            "verdict": self.verdict,
            "target": encode_tree(self.target),
            "environment": encode_tree(self.environment),
            "findings": [finding.to_json() for finding in self.findings],
            "verdicts": {k: {"verdict": v.verdict, "reason": v.reason}
                         for k, v in sorted(self.verdicts.items())},
            "rules": {k: {"category": r.category, "severity": r.severity, "title": r.title,
                          "title_pass": r.title_pass, "limits": dict(r.limits)}
                      for k, r in sorted(self.rules.items())},
            "layers": [{"path": row.path, "kind": row.kind, "parameters": row.parameters,
                        "place": row.place.to_json() if row.place else None}
                       for row in self.layers],
            "observations": [observation.to_json() for observation in self.observations],
            "probes": [{"name": p.name, "status": p.status, "seconds": round(p.seconds, 4),
                        "steps": p.steps, "reason": p.reason, "yields": list(p.yields)}
                       for p in self.probes],
            "joint": self.joint.to_json() if self.joint else None,
            "notes": list(self.notes),
            "remarks": list(self.remarks),
            "quantities": {k: {"unit": q.unit, "says": q.says, "scope": q.scope, "kind": q.kind}
                           for k, q in sorted(self.quantities.items())},
        }

    @classmethod
    def from_json(cls, data: object) -> Report:
        """Return the report that `to_json` wrote.

        Raises:
            ObservationError: The data is no report of this schema.
        """
        if not isinstance(data, dict) or "schema" not in data:
            raise ObservationError("This is no audit report: it has no `schema`.")
        if data["schema"] != SCHEMA:
            raise ObservationError(
                f"This report has schema {str(data['schema'])[:20]!r}; this version reads schema "
                f"{SCHEMA}.", hint="Run the audit again with this version.",
            )
        missing = [key for key in _LISTS if key not in data]
        if missing:
            raise _damaged(f"it has no '{missing[0]}'")
        try:
            found = cls(
                verdict=data["verdict"],
                findings=tuple(Finding.from_json(item) for item in listed(data, "findings")),
                verdicts={k: Verdict(**v) for k, v in data["verdicts"].items()},
                rules={k: RuleSummary(**v) for k, v in data["rules"].items()},
                target=data["target"],
                layers=tuple(_layer(row) for row in listed(data, "layers")),
                environment=data["environment"],
                observations=tuple(Observation.from_json(item)
                                   for item in listed(data, "observations")),
                probes=tuple(ProbeRun(**{**item, "yields": listed(item, "yields")})
                             for item in listed(data, "probes")),
                joint=JointTrial.from_json(data["joint"]) if data.get("joint") else None,
                notes=listed(data, "notes"),
                remarks=listed(data, "remarks"),
                quantities={k: Quantity(name=k, **v) for k, v in data["quantities"].items()},
                version=data["auditor"],
            )
        except KeyError as problem:
            raise _damaged(f"it has no {problem}") from problem
        except (TypeError, ValueError, AttributeError) as problem:
            raise _damaged(str(problem)) from problem
        wrong = misfit(found, cls) or _wrong_facts(found)
        if wrong:
            raise _damaged(wrong.removeprefix("."))
        return found


def _wrong_facts(report: Report) -> str:
    """Return what is wrong with the facts that renderers lean on; empty if nothing is."""
    for name, part, key in (("target", report.target, "file"), ("target", report.target, "model"),
                            ("environment", report.environment, "folder")):
        if not isinstance(part.get(key, ""), str):
            return f"{name}.{key} is no text"
    places: Any = report.target.get("places") or {}
    try:
        wrong = [misfit(Place.from_json(raw), Place) for raw in places.values()]
    except (TypeError, AttributeError):
        return "target.places holds something else than places"
    return next((f"target.places{problem}" for problem in wrong if problem), "")


def _damaged(how: str) -> ObservationError:
    return ObservationError(f"This report is damaged: {how}.", hint="Run the audit again.")


def _told(findings: Sequence[Finding]) -> str:
    """Return a headline for every finding, with its line and what to do first."""
    lines = [f"The audit found {len(findings)} fault{'s' if len(findings) > 1 else ''}:"]
    for finding in findings:
        place = f" ({finding.place.file}:{finding.place.line})" if finding.place else ""
        lines.append(f"{finding.severity}[{finding.rule}]: {finding.title}{place}")
        lines += [f"    fix: {fix.summary}" for fix in finding.fixes[:1]]
    return "\n".join(lines)



def _layer(row: dict[str, Any]) -> Layer:
    place = Place.from_json(row["place"]) if row["place"] else None
    return Layer(**{**row, "place": place})


class Renderer(Protocol):
    """Turns a report into text; the same report gives the same bytes.

    Attributes:
        name: For `--format`.
        suffixes: File name endings that choose it for `--output`.
        says: One line for `--help`.
    """

    name: str
    suffixes: tuple[str, ...]
    says: str

    def render(self, report: Report) -> str:
        """Return the whole text."""
        ...
