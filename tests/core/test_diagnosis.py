"""Observations x rules: every rule gets a verdict, and a reason where it could not be judged."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_rules import fired, observed, one, rule

from auditor.diagnosis import diagnose
from auditor.observation import Measurement, Observation, Quantity, Scalar, accounted
from auditor.scene import Scene


def test_a_rule_fires_for_the_subjects_that_it_holds_for_in_call_order() -> None:
    finding = fired(rule("a", "x > 0.5"), {"x": {"fc3": 0.9, "fc1": 0.6, "block.0": 0.5}})

    assert finding.layers == ("fc1", "fc3")


def test_a_rule_that_holds_for_no_subject_is_clear() -> None:
    assert one(rule("a", "x > 0.5"), {"x": {"fc1": 0.5}}) == ("clear", "", None)


def test_a_value_of_the_run_is_joined_to_every_subject() -> None:
    judged = rule("a", "x > 0 and y > 10")

    assert fired(judged, {"x": {"fc1": 1, "fc3": 1}, "y": 11}).layers == ("fc1", "fc3")
    assert one(judged, {"x": {"fc1": 1}, "y": 10})[0] == "clear"


def test_nan_fires_nothing() -> None:
    assert one(rule("a", "x > 0"), {"x": {"fc1": math.nan}})[0] == "clear"


def test_an_absent_quantity_makes_a_rule_not_applicable() -> None:
    verdict = one(rule("a", "x > 0 and y > 0"), {}, absent={"y": "no ReLU"},
                  missed={"x": "no time"})

    assert verdict == ("not-applicable", "no ReLU", None)


def test_a_missed_quantity_makes_a_rule_not_measured() -> None:
    assert one(rule("a"), {}, missed={"x": "no time"}) == ("not-measured", "no time", None)


def test_a_quantity_of_a_probe_that_did_not_run_is_not_measured() -> None:
    scene = Scene(unmeasured={"x": "the probe was left out"})

    assert one(rule("a"), {}, scene) == ("not-measured", "the probe was left out", None)


def test_a_quantity_that_nobody_speaks_of_is_not_measured() -> None:
    assert one(rule("a"), {}) == ("not-measured", "no probe has measured x", None)


def test_a_subject_without_a_required_value_is_left_out() -> None:
    judged = rule("a", "x > 0 and y > 0")

    assert fired(judged, {"x": {"fc1": 1, "fc3": 1}, "y": {"fc3": 1}}).layers == ("fc3",)


def test_a_rule_without_a_common_subject_is_not_measured() -> None:
    verdict, reason, _ = one(rule("a", "x > 0 and y > 0"), {"x": {"fc1": 1}, "y": {"fc3": 1}})

    assert verdict == "not-measured"
    assert reason == "no layer has a value of all of x, y"


def test_what_was_looked_at_in_part_is_not_called_fine() -> None:
    missed = {"x": "time was up after fc1"}

    assert one(rule("a"), {"x": {"fc1": 0}}, missed=missed)[0] == "not-measured"
    assert one(rule("a"), {"x": {"fc1": 1}}, missed=missed)[0] == "fired"


def test_a_missing_mention_never_matters_for_the_verdict() -> None:
    judged = rule("a", severity_when="{info: z > 0}", title="'{z} here'")

    finding = fired(judged, {"x": {"fc1": 1}})

    assert (finding.severity, finding.title) == ("error", "? here")


@pytest.mark.parametrize(("status", "verdict", "reason"), [
    ("not-applicable", "not-applicable", "why"),
    ("failed", "not-measured", "the probe p failed: why"),
    ("measured", "not-measured", "the probe p gave no value: why"),
])
def test_every_declared_quantity_without_a_value_gets_a_reason(
    status: str, verdict: str, reason: str
) -> None:
    raw = Observation("p", status=status, reason="why")  # type: ignore[arg-type]
    found = diagnose([accounted(raw, [Quantity("x", "", "")])], [rule("a")], Scene())

    assert (found.verdicts["a"].verdict, found.verdicts["a"].reason) == (verdict, reason)


def test_reasons_that_a_probe_gives_are_kept() -> None:
    raw = Observation("p", status="failed", reason="why", absent={"x": "no ReLU"})

    assert accounted(raw, [Quantity("x", "", "")]).missed == {}


def test_every_rule_gets_a_verdict() -> None:
    rules = [rule("a"), rule("b", "y > 0"), rule("c", for_each="run")]

    found = diagnose([observed({"x": {"fc1": 1}})], rules, Scene())

    assert set(found.verdicts) == {"a", "b", "c"}


VALUES = st.floats() | st.booleans() | st.sampled_from(["text", 0, 10**40])
SUBJECTS = st.sampled_from(["", "fc1", "block.0:relu", ":relu", "fc3.weight", "a..b", "."])
RULES = [
    rule("a", "x > 0.5 or y < 0", severity_when="{info: z > 0}", fixes="[{summary: '{z:.1%}'}]",
         title="'{x:d} of {layers_code}'", causes="[b, c]", hides="[d]"),
    rule("b", "not x == y", for_each="parameter", causes="[a]", category="gradient"),
    rule("c", "x", for_each="run", mentions="[]", causes="[a]", category="fit"),
    rule("d", "0 < x < y", hides="[c]", for_each="feature", category="data"),
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("xyz"), VALUES, SUBJECTS), max_size=12))
def test_whatever_was_measured_gets_a_verdict(found: list[tuple[str, Scalar, str]]) -> None:
    observation = Observation("p", measurements=tuple(Measurement(*item) for item in found))

    diagnosis = diagnose([observation], RULES, Scene())

    fired_rules = {finding.rule for finding in diagnosis.findings}
    assert {name for name, verdict in diagnosis.verdicts.items()
            if verdict.verdict == "fired"} == fired_rules
    for finding in diagnosis.findings:
        assert set(finding.causes) <= fired_rules
