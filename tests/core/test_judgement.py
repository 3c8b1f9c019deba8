"""What a finding says: the worst subject, its texts, its evidence and its place."""

from __future__ import annotations

import pytest
from sample_rules import LAYERS, Observed, fired, rule

from auditor.diagnosis import diagnose
from auditor.observation import Measurement, Observation, Place, Quantity
from auditor.report import Layer
from auditor.scene import Override, Scene


def test_texts_speak_of_the_worst_subject() -> None:
    judged = rule("a", "x > 0", title="'{layer} {x} of {layers}, {count}/{total} {optimizer}'",
                  fixes="[{summary: '{layer}'}]")

    finding = fired(judged, {"x": {"fc1": 0.1, "fc3": 0.9, "block.0": 0.0}},
                    Scene(layers=LAYERS, optimizer="AdamW"))

    assert finding.title == "fc3 0.9 of fc1 and fc3, 2/3 AdamW"
    assert finding.fixes[0].summary == "fc3"


@pytest.mark.parametrize(("count", "words"), [
    (1, "l0"), (2, "l0 and l1"), (3, "l0, l1 and l2"), (4, "l0, l1 and 2 more"),
    (30, "l0, l1 and 28 more"),
])
def test_many_subjects_are_said_in_few_words(count: int, words: str) -> None:
    values = {f"l{index}": 1.0 for index in range(count)}

    assert fired(rule("a", title="'{layers}'"), {"x": values}).title == words


@pytest.mark.parametrize(("subject", "code"), [
    ("fc1", "model.fc1"), ("features.0.conv", "model.features[0].conv"),
    ("block.0:relu#2", "model.block[0]"), (":relu", "model"),
    ("heads.a-b.fc", "getattr(model.heads, 'a-b').fc"), ("in", "getattr(model, 'in')"),
])
def test_a_layer_in_a_snippet_is_written_as_python_finds_it(subject: str, code: str) -> None:
    judged = rule("a", fixes="[{summary: s, code: 'x({layer_code})'}]")

    assert fired(judged, {"x": {subject: 1}}).fixes[0].code == f"x({code})"


def test_all_layers_of_a_snippet_are_listed() -> None:
    judged = rule("a", for_each="parameter",
                  fixes="[{summary: s, code: 'for parameter in [{layers_code}]:'}]")

    finding = fired(judged, {"x": {"block.0.weight": 1, "fc3.weight": 2}})

    assert finding.fixes[0].code == "for parameter in [model.block[0].weight, model.fc3.weight]:"


@pytest.mark.parametrize(("when", "worst"), [
    ("x > 0", "fc3"), ("x < 9", "fc1"), ("0 < x", "fc3"), ("not x > 9", "fc1"),
    ("y > 0 or x > 0", "fc3"),
])
def test_the_direction_of_the_first_comparison_decides_what_is_worst(
    when: str, worst: str
) -> None:
    values: Observed = {"x": {"block.0": 2.0, "fc1": 1.0, "fc3": 3.0},
                        "y": {"block.0": 0, "fc1": 0, "fc3": 0}}

    assert fired(rule("a", when, title="'{layer}'"), values).title == worst


def test_a_two_sided_rule_finds_the_one_that_is_furthest_out() -> None:
    judged = rule("a", "x < 0.001 or x > 0.1", title="'{layer}'")

    assert fired(judged, {"x": {"fc1": 0.3, "fc3": 1e-7}}).title == "fc3"
    assert fired(judged, {"x": {"fc1": 0.3, "fc3": 9e-4}}).title == "fc1"
    assert fired(judged, {"x": {"fc1": 0.3, "fc3": 0.0}}).title == "fc3"


def test_the_most_severe_subject_gives_the_severity_and_the_texts() -> None:
    judged = rule("a", "x > 0 and y > 0", severity_when="{warning: y < 5}", title="'{layer}'",
                  confidence_when="{low: y > 8}")

    finding = fired(judged, {"x": {"fc1": 9, "fc3": 1}, "y": {"fc1": 1, "fc3": 9}})

    assert (finding.severity, finding.confidence, finding.title) == ("error", "low", "fc3")


def test_the_users_severity_stands_above_all_others() -> None:
    judged = rule("a", severity_when="{warning: x > 0}")
    scene = Scene(severities={"a": "info"})

    assert fired(judged, {"x": {"fc1": 1}}, scene).severity == "info"


def test_a_fix_is_shown_only_where_its_condition_holds() -> None:
    fixes = "[{summary: always}, {summary: big, when: x > 5}, {summary: z, when: z > 0}]"

    finding = fired(rule("a", fixes=fixes), {"x": {"fc1": 1}})

    assert [fix.summary for fix in finding.fixes] == ["always"]


def test_a_fix_with_a_hole_is_left_out_and_a_snippet_with_one_too() -> None:
    fixes = "[{summary: '{z}'}, {summary: '{x}', code: 'f({z})'}, {summary: s, code: 'f({x})'}]"

    finding = fired(rule("a", fixes=fixes), {"x": {"fc1": 1}})

    assert [(fix.summary, fix.code) for fix in finding.fixes] == [("1", ""), ("s", "f(1)")]


def test_evidence_holds_value_and_effective_limit_with_its_source() -> None:
    judged = rule("a", "x > limit and y >= 2",
                  thresholds="{limit: {default: 0.5, unit: share, source: s}}",
                  message="'{limit}'")
    scene = Scene(thresholds={"a": {"limit": Override(0.25, "command line")}},
                  quantities={"x": Quantity("x", "", "the x of it", "layer")})

    finding = fired(judged, {"x": {"fc1": 0.3}, "y": 2, "z": 7}, scene)

    first, second, third = finding.evidence
    assert (first.measurement, first.value, first.comparison, first.threshold) == (
        "x", 0.3, ">", 0.25)
    assert (first.threshold_name, first.threshold_source) == ("limit", "command line")
    assert (first.says, first.unit, first.layer) == ("the x of it", "share", "fc1")
    assert (second.measurement, second.threshold, second.threshold_source) == ("y", 2.0, "pack")
    assert (third.measurement, third.value, third.threshold) == ("z", 7, None)
    assert finding.message == "0.25"


def test_evidence_shows_only_comparisons_that_held_and_flags_without_a_limit() -> None:
    finding = fired(rule("a", "x > 5 or y", for_each="run"), {"x": 1, "y": True})

    assert [(item.measurement, item.comparison, item.threshold) for item in finding.evidence] == [
        ("y", "", None)]


def test_a_limit_that_is_measured_says_so() -> None:
    entry = fired(rule("a", "x > y", for_each="run"), {"x": 3, "y": 2}).evidence[0]

    assert (entry.threshold, entry.threshold_name, entry.threshold_source) == (2.0, "y", "measured")


def test_evidence_stops_at_five_subjects() -> None:
    finding = fired(rule("a"), {"x": {f"l{index}": index for index in range(20)}})

    assert [item.layer for item in finding.evidence] == ["l19", "l18", "l17", "l16", "l15"]
    assert len(finding.layers) == 19


def test_an_unknown_threshold_of_the_user_is_left_alone() -> None:
    scene = Scene(thresholds={"a": {"nothing": Override(1, "configuration")}})

    assert fired(rule("a"), {"x": {"fc1": 1}}, scene).rule == "a"


def test_a_finding_shows_the_line_of_the_worst_layer_or_of_the_module_around_it() -> None:
    places = {"block": Place("m.py", 4), "fc3": Place("m.py", 9)}
    layers = (Layer("fc1", "Linear", place=Place("m.py", 2)),)
    scene = Scene(layers=layers, places=places)
    subjects = {"fc1": 2, "fc3": 9, "block.0:relu#2": 4, "other": None}

    for subject, line in subjects.items():
        place = fired(rule("a"), {"x": {subject: 1}}, scene).place
        assert (place.line if place else None) == line, subject


def test_a_parameter_stands_where_its_layer_stands() -> None:
    scene = Scene(layers=LAYERS, places={"fc3": Place("m.py", 9)})
    finding = fired(rule("a", for_each="parameter"),
                    {"x": {"fc3.weight": 2, "fc1.bias": 1}}, scene)

    assert finding.layers == ("fc1.bias", "fc3.weight")
    assert finding.place == Place("m.py", 9)


@pytest.mark.parametrize("kind", ["optimizer", "loader", "loss", "model"])
def test_a_rule_can_show_the_line_of_another_object(kind: str) -> None:
    scene = Scene(**{f"{kind}_place": Place("m.py", 7)})  # type: ignore[arg-type]

    assert fired(rule("a", place=kind), {"x": {"fc1": 1}}, scene).place == Place("m.py", 7)
    assert fired(rule("a", place="none"), {"x": {"fc1": 1}}, scene).place is None


def test_calls_stand_where_the_probe_saw_them() -> None:
    observation = Observation("p", measurements=(Measurement("x", 1, ":relu"),),
                              places={":relu": Place("m.py", 12)})

    finding = diagnose([observation], [rule("a")], Scene()).findings[0]

    assert finding.place == Place("m.py", 12)
