"""Observations and findings survive JSON, whatever the numbers are."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.finding import Evidence, Finding, Fix, TrialOutcome
from auditor.observation import Json, Measurement, Observation, Place, Scalar, Series, decode

NUMBERS = st.floats() | st.integers(-(10**20), 10**20)
VALUES = NUMBERS | st.booleans() | st.text(max_size=5).filter(
    lambda text: text not in ("nan", "inf", "-inf"))


def through_json(data: dict[str, Json]) -> dict[str, Json]:
    """Write and read strict JSON."""
    text = json.dumps(data, allow_nan=False)
    return dict(json.loads(text))


def same(one: object, other: object) -> bool:
    """Compare by what is shown, so that NaN equals NaN."""
    return repr(one) == repr(other)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(VALUES, st.none() | st.floats(), st.none() | st.integers(0, 9))),
       st.lists(st.floats(), max_size=4))
def test_an_observation_survives_json(
    values: list[tuple[Scalar, float | None, int | None]], curve: list[float]
) -> None:
    observation = Observation(
        "p", "failed", "why",
        measurements=tuple(Measurement(f"q{index}", value, "fc1" * (index % 2), spread, samples)
                           for index, (value, spread, samples) in enumerate(values)),
        series=(Series("loss", "a", tuple(curve), tuple(curve), "steps", "nats"),),
        absent={"x": "no ReLU"}, missed={"y": "no time"}, places={":relu": Place("m.py", 3)},
        notes=("a note",), tables={"t": [1, {"a": "b"}]}, seconds=0.5, steps=3, traceback="tb",
    )

    assert same(Observation.from_json(through_json(observation.to_json())), observation)


@settings(max_examples=200, deadline=None)
@given(VALUES, st.none() | st.floats(), st.none() | st.floats())
def test_a_finding_survives_json(
    value: Scalar, threshold: float | None, spread: float | None
) -> None:
    finding = Finding(
        "dying-relu", "activation", "error", "high", "t", "m", "w", ("fc1", "fc2"),
        Place("m.py", 3, 5, 3, 9, "code"),
        (Evidence("x", value, "says", "fc1", ">", threshold, "limit", "pack", "share", spread),),
        ("a",), ("b",),
        (Fix("s", "c", "!", "r", TrialOutcome("helps", "why", {"loss": 1.5}, {"loss": math.inf},
                                              ("dying-relu",))),),
        ("paper",), known=True,
    )

    again = Finding.from_json(through_json(finding.to_json()))

    assert same(again.evidence, finding.evidence)
    assert again.fixes[0].trial.resolves == ("dying-relu",)
    assert through_json(again.to_json()) == through_json(finding.to_json())


def test_the_fingerprint_hangs_on_rule_and_layers_alone() -> None:
    one = Finding("a", "activation", "error", "high", "t", "m", layers=("fc1",))
    other = Finding("a", "activation", "info", "low", "x", "y", layers=("fc1",))

    assert one.fingerprint == other.fingerprint
    assert one.fingerprint != Finding("a", "activation", "error", "high", "t", "m").fingerprint


@pytest.mark.parametrize(("raw", "problem"), [
    (10**400, ValueError), (None, TypeError), ([1], TypeError), ({}, TypeError),
])
def test_what_is_no_measured_value_is_refused(raw: Json, problem: type[Exception]) -> None:
    with pytest.raises(problem):
        decode(raw)


@pytest.mark.parametrize("data", [
    {}, {"probe": "p", "measurements": [{}]}, {"probe": "p", "measurements": 3},
    {"probe": "p", "series": [{"name": "x"}]}, {"probe": "p", "places": {"a": {}}},
    {"probe": "p", "absent": 3},
])
def test_what_is_no_observation_is_refused(data: dict[str, Json]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Observation.from_json(data)
