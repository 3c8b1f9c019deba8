"""What a probe found, as plain JSON: named measurements, series for charts, and a status."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

Scalar: TypeAlias = float | int | bool | str
Json: TypeAlias = "None | bool | int | float | str | list[Json] | dict[str, Json]"
Scope: TypeAlias = Literal["run", "layer", "parameter", "feature"]
Kind: TypeAlias = Literal["number", "flag", "text"]
Status: TypeAlias = Literal["measured", "not-applicable", "failed"]

_PLAIN_FIELDS = ("probe", "status", "reason", "steps", "traceback", "seconds")


@dataclass(frozen=True, slots=True)
class Quantity:
    """The declaration of a measurement that a probe can make.

    Attributes:
        name: A plain identifier, unique over all installed probes.
        unit: Of the value; "share" for parts of one, "decades" for log10 ratios, "" for counts.
        says: What it is, in one line.
        scope: One value for the run, or one per layer, parameter or input feature.
        kind: Numbers and flags can stand in conditions; texts only in messages.
    """

    name: str
    unit: str
    says: str
    scope: Scope = "run"
    kind: Kind = "number"


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in the user's file.

    Attributes:
        file: Path as the user would write it, relative to the working directory if below it.
        line: 1-based line.
        column: 1-based first character of the expression; 0 when unknown.
        end_line: 1-based last line of the expression; 0 when unknown.
        end_column: 1-based column after its last character; 0 when unknown.
        code: The source line as it stands, without its line end.
    """

    file: str
    line: int
    column: int = 0
    end_line: int = 0
    end_column: int = 0
    code: str = ""

    def to_json(self) -> dict[str, Json]:
        """Return the place as a JSON object."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> Place:
        """Return the place that `to_json` wrote."""
        return cls(**{name: data[name] for name in cls.__slots__ if name in data})  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One named number, flag or text.

    Attributes:
        name: The name of its `Quantity`.
        value: What was measured; NaN and infinities are legal.
        subject: The layer, parameter or feature that it belongs to; empty for the run.
        spread: Standard deviation over seeds or batches, where several were measured.
        samples: How many independent values stand behind it, where that matters.
    """

    name: str
    value: Scalar
    subject: str = ""
    spread: float | None = None
    samples: int | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """A curve for the reports, never judged by rules.

    Attributes:
        name: What it is ("loss", "gradient_rms"), one name per kind of chart.
        label: Which line of the chart it is ("user's rate", "fc1.weight").
        x: Positions: steps, learning rates, batch sizes, depth.
        y: Values, as many as `x`; NaN where a run diverged.
        x_unit: Of `x`.
        y_unit: Of `y`.
    """

    name: str
    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    x_unit: str = ""
    y_unit: str = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """The result of one probe.

    Attributes:
        probe: The probe's name.
        status: "failed" carries the reason; its measurements, if any, are still good.
        reason: Why it failed or does not apply.
        measurements: What was measured.
        series: Curves for the reports.
        absent: Why a declared quantity has no value although the probe ran: name -> reason.
        missed: Quantities that could not be measured (time, a failing trial): name -> reason.
        places: Where subjects stand that are no modules (calls in `forward`): subject -> place.
        notes: Plain sentences for the reader of the report ("one initialisation was seen").
        tables: Further facts for the reports, as JSON ("hardest_samples", "batch_sizes").
        seconds: Wall time.
        steps: Training steps taken.
        traceback: Of a failure, for `--debug`.
    """

    probe: str
    status: Status = "measured"
    reason: str = ""
    measurements: tuple[Measurement, ...] = ()
    series: tuple[Series, ...] = ()
    absent: Mapping[str, str] = field(default_factory=dict)
    missed: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    tables: Mapping[str, Json] = field(default_factory=dict)
    seconds: float = 0.0
    steps: int = 0
    traceback: str = ""

    def value(self, name: str, subject: str = "") -> Scalar | None:
        """Return a measured value, or None if it was not measured."""
        for found in self.measurements:
            if found.name == name and found.subject == subject:
                return found.value
        return None

    def to_json(self) -> dict[str, Json]:
        """Return the observation as a JSON object; non-finite floats become strings."""
        return {
            "probe": self.probe,
            "status": self.status,
            "reason": self.reason,
            "measurements": [_drop_none(m, ("name", "value", "subject", "spread", "samples"))
                             for m in self.measurements],
            "series": [
                {"name": s.name, "label": s.label, "x": [encode(v) for v in s.x],
                 "y": [encode(v) for v in s.y], "x_unit": s.x_unit, "y_unit": s.y_unit}
                for s in self.series
            ],
            "absent": dict(self.absent),
            "missed": dict(self.missed),
            "places": {subject: place.to_json() for subject, place in self.places.items()},
            "notes": list(self.notes),
            "tables": encode_tree(dict(self.tables)),
            "seconds": round(self.seconds, 4),
            "steps": self.steps,
            "traceback": self.traceback,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> Observation:
        """Return the observation that `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: The data is not an observation.
        """
        raw: Any = data  # whatever does not fit raises, as promised
        plain = {name: raw[name] for name in _PLAIN_FIELDS if name in raw}
        return cls(
            **plain,
            measurements=tuple(_measurement(item) for item in listed(raw, "measurements")),
            series=tuple(_series(item) for item in listed(raw, "series")),
            absent=dict(raw.get("absent") or {}),
            missed=dict(raw.get("missed") or {}),
            places={k: Place.from_json(v) for k, v in dict(raw.get("places") or {}).items()},
            notes=listed(raw, "notes"),
            tables=dict(raw.get("tables") or {}),
        )


def accounted(observation: Observation, yields: Sequence[Quantity]) -> Observation:
    """Return the observation with a reason for every declared quantity that has no value.

    Rules can then tell "does not exist here" from "could not look" without knowing the probes,
    also when the observation is read from a file.
    """
    told = {item.name for item in observation.measurements}
    told |= set(observation.absent) | set(observation.missed)
    silent = [quantity.name for quantity in yields if quantity.name not in told]
    if observation.status == "not-applicable":
        absent = {name: observation.reason for name in silent}
        return replace(observation, absent={**absent, **observation.absent})
    why = f": {observation.reason}" if observation.reason else ""
    what = "failed" if observation.status == "failed" else "gave no value"
    missed = {name: f"the probe {observation.probe} {what}{why}" for name in silent}
    return replace(observation, missed={**missed, **observation.missed})


def encode(value: object) -> Json:
    """Return a JSON scalar; NaN and infinities as "nan", "inf", "-inf" (strict JSON has none)."""
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"{type(value).__name__} is no JSON scalar")


def decode(value: Json) -> Scalar:
    """Return the scalar that `encode` wrote.

    Raises:
        TypeError: It is no scalar.
        ValueError: An integer is beyond every float, so that nothing can be compared with it.
    """
    if value in ("nan", "inf", "-inf"):
        return float(str(value))
    if isinstance(value, int) and abs(value) > sys.float_info.max:
        raise ValueError("an integer is too large to be a measured value")
    if isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"{type(value).__name__} is no measured value")


def listed(raw: Mapping[str, Any], key: str) -> tuple[Any, ...]:
    """Return the list under a key; nothing where there is none.

    Raises:
        TypeError: Something else stands there; a text would fall apart into its letters.
    """
    found = raw.get(key)
    if found is not None and not isinstance(found, list):
        raise TypeError(f"{key} is no list")
    return tuple(found or ())


def encode_tree(value: object) -> Json:
    """Return nested dicts and lists with every scalar encoded."""
    if isinstance(value, Mapping):
        return {str(key): encode_tree(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode_tree(item) for item in value]
    return encode(value)


def _measurement(raw: Any) -> Measurement:
    spread = decode(raw["spread"]) if "spread" in raw else None
    return Measurement(**{**raw, "value": decode(raw["value"]), "spread": spread})


def _series(raw: Any) -> Series:
    axes = {axis: tuple(decode(value) for value in listed(raw, axis)) for axis in ("x", "y")}
    if len(axes["x"]) != len(axes["y"]):
        raise ValueError("the axes of a series have different lengths")
    return Series(**{**raw, **axes})


def _drop_none(item: object, names: tuple[str, ...]) -> dict[str, Json]:
    pairs = ((name, getattr(item, name)) for name in names)
    # An empty text is a value; an empty subject is none.
    return {name: encode(value) for name, value in pairs
            if value is not None and (name == "value" or value != "")}
