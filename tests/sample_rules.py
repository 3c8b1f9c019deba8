"""Rules and observations made in a few lines, for tests of the diagnosis."""

from __future__ import annotations

from collections.abc import Mapping

from auditor.diagnosis import diagnose
from auditor.finding import Finding
from auditor.observation import Measurement, Observation, Scalar
from auditor.packs import parse_pack
from auditor.report import Layer
from auditor.rule import Rule
from auditor.scene import Scene

Observed = Mapping[str, "Scalar | Mapping[str, Scalar]"]

LAYERS = tuple(Layer(path, "Linear") for path in ("fc1", "block.0", "block.0:relu", "fc3"))


def rule(name: str, when: str = "x > 0", **keys: object) -> Rule:
    """Return a rule over the quantities x, y (required as far as `when` names them) and z."""
    required = [quantity for quantity in ("x", "y") if quantity in when]
    entry: dict[str, object] = {
        "id": name, "since": "0.1.0", "status": "stable", "severity": "error",
        "confidence": "high", "for_each": "layer", "requires": required, "mentions": ["z"],
        "when": f"'{when}'", "title": "t", "title_pass": "p", "message": "m", "why": "w",
    }
    category = str(keys.pop("category", "activation"))
    lines = [f"    {key}: {value}" for key, value in {**entry, **keys}.items()]
    text = f"category: {category}\nrules:\n  - " + "\n".join(lines).lstrip()
    return parse_pack(text, "x.yaml")[0]


def observed(values: Observed, **keys: Mapping[str, str]) -> Observation:
    measurements = tuple(
        Measurement(name, each, subject)
        for name, value in values.items()
        for subject, each in (value if isinstance(value, Mapping) else {"": value}).items()
    )
    return Observation("probe", measurements=measurements, **keys)  # type: ignore[arg-type]


def one(
    judged: Rule, values: Observed, scene: Scene | None = None, **keys: Mapping[str, str]
) -> tuple[str, str, Finding | None]:
    """Return verdict, reason and finding of one rule."""
    found = diagnose([observed(values, **keys)], [judged], scene or Scene(layers=LAYERS))
    verdict = found.verdicts[judged.id]
    return verdict.verdict, verdict.reason, next(iter(found.findings), None)


def fired(judged: Rule, values: Observed, scene: Scene | None = None) -> Finding:
    """Return the finding of a rule that has to fire."""
    verdict, reason, finding = one(judged, values, scene)
    assert finding is not None, (verdict, reason)
    return finding
