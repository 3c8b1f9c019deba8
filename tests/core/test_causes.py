"""Which finding explains which, which rule another one hides, and the order to read them in."""

from __future__ import annotations

import itertools

import pytest
from sample_rules import LAYERS, Observed, observed, rule

from auditor.diagnosis import Diagnosis, diagnose
from auditor.finding import Severity
from auditor.rule import Rule
from auditor.scene import Scene


def explained(effect: Rule, cause: Rule, values: Observed) -> bool:
    found = diagnose([observed(values)], [effect, cause], Scene(layers=LAYERS))
    by_name = {finding.rule: finding for finding in found.findings}
    causes, consequences = by_name[effect.id].causes, by_name[cause.id].consequences

    assert (cause.id in causes) == (effect.id in consequences)
    return cause.id in causes


@pytest.mark.parametrize(("category", "effect_at", "cause_at", "related"), [
    ("activation", "fc1", "fc1", True),
    ("activation", "block.0:relu", "block.0", True),
    ("activation", "block", "block.0", True),
    ("activation", "block.0", "block", True),
    ("activation", "fc1", "fc10", False),
    ("wiring", "fc1", "fc3", True),
    ("activation", "fc3", "fc1", True),
    ("activation", "fc1", "fc3", False),
    ("activation", "block.0:relu", "fc1", True),
    ("initialization", "fc3", "block.0", True),
    ("gradient", "fc1", "fc3", True),
    ("fit", "fc1", "fc3", True),
    ("numerics", "fc1", "fc3", True),
    ("learning-rate", "fc1", "fc3", True),
])
def test_a_cause_has_to_be_where_it_can_act(
    category: str, effect_at: str, cause_at: str, related: bool
) -> None:
    effect = rule("effect", category=category, causes="[cause]")
    cause = rule("cause", "y > 0")

    assert explained(effect, cause, {"x": {effect_at: 1}, "y": {cause_at: 1}}) == related


@pytest.mark.parametrize("scopes", [("run", "layer"), ("layer", "run"), ("layer", "feature")])
def test_what_holds_for_the_whole_run_explains_every_layer(scopes: tuple[str, str]) -> None:
    effect = rule("effect", category="wiring", causes="[cause]", for_each=scopes[0])
    cause = rule("cause", "y > 0", for_each=scopes[1])
    values: Observed = {"x": 1 if scopes[0] == "run" else {"fc1": 1},
                        "y": 1 if scopes[1] == "run" else {"fc3": 1}}

    assert explained(effect, cause, values)


@pytest.mark.parametrize(("parameter", "related"), [("fc3.weight", True), ("fc1.weight", False)])
def test_a_parameter_belongs_to_its_layer(parameter: str, related: bool) -> None:
    effect = rule("effect", category="initialization", causes="[cause]", for_each="parameter")
    cause = rule("cause", "y > 0", for_each="layer")

    assert explained(effect, cause, {"x": {parameter: 1}, "y": {"fc3": 1}}) == related


@pytest.mark.parametrize(("at_start", "root"), [(1, "flat"), (0, "rate")])
def test_a_rate_explains_what_came_with_the_steps_and_is_explained_by_what_was_there_before(
    at_start: int, root: str
) -> None:
    flat = rule("flat", category="activation", causes="[rate]", at_start="z > 0")
    rate = rule("rate", "y > 0", category="learning-rate", for_each="run", causes="[flat]")
    found = diagnose([observed({"x": {"fc1": 1}, "y": 1, "z": {"fc1": at_start}})],
                     [flat, rate], Scene(layers=LAYERS))

    assert [finding.rule for finding in found.findings if not finding.causes] == [root]
    assert len(found.findings) == 2


@pytest.mark.parametrize("at_start", [1, 0])
def test_the_order_of_the_samples_explains_only_what_came_with_the_steps(at_start: int) -> None:
    dead = rule("dead", category="activation", causes="[unshuffled-loader]", at_start="z > 0")
    order = rule("unshuffled-loader", "y > 0", category="data", for_each="run")

    assert explained(dead, order, {"x": {"fc1": 1}, "y": 1, "z": {"fc1": at_start}}) != at_start


@pytest.mark.parametrize("start", [{}, {"fc1": 1, "fc3": 0}])
def test_where_the_start_is_not_known_or_differs_each_may_explain_the_other(
    start: dict[str, int]
) -> None:
    flat = rule("flat", category="activation", causes="[rate]", at_start="z > 0")
    rate = rule("rate", "y > 0", category="learning-rate", for_each="run")
    values: Observed = {"x": {"fc1": 1, "fc3": 1}, "y": 1, "z": start}
    explains = rule("rate", "y > 0", category="learning-rate", for_each="run", causes="[flat]")
    alone = rule("flat", category="activation", at_start="z > 0")

    assert explained(flat, rate, values)
    assert explained(explains, alone, values)


@pytest.mark.parametrize(("effect_is", "cause_is", "related"), [
    ("error", "info", False), ("warning", "info", False), ("info", "info", True),
    ("error", "warning", True),
])
def test_an_info_finding_never_explains_a_worse_one(
    effect_is: str, cause_is: str, related: bool
) -> None:
    effect = rule("effect", severity=effect_is, causes="[cause]")
    cause = rule("cause", "y > 0", severity=cause_is)

    assert explained(effect, cause, {"x": {"fc1": 1}, "y": {"fc1": 1}}) == related


@pytest.mark.parametrize(("category", "effect_is", "usual", "set_to", "becomes"), [
    ("fit", "warning", "error", {}, "warning"),
    ("fit", "error", "warning", {}, "warning"),
    ("no rate", "error", "warning", {}, "warning"),
    ("learning-rate", "error", "warning", {}, "info"),
    ("fit", "info", "error", {}, "info"),
    ("fit", "warning", "info", {}, "info"),
    ("fit", "warning", "error", {"cause": "info"}, "info"),
    ("gradient", "warning", "error", {}, "info"),
])
def test_a_cause_that_was_toned_down_gets_its_weight_back_where_it_alone_explains_an_outcome(
    category: str, effect_is: str, usual: str, set_to: dict[str, Severity], becomes: str,
) -> None:
    name = "no-learning-at-any-rate" if category == "no rate" else "effect"
    category = category.replace("no rate", "learning-rate")
    effect = rule(name, category=category, severity=effect_is, causes="[cause, other]")
    toned = {"severity_when": "{info: y > 0}"} if usual != "info" else {}
    cause = rule("cause", "y > 0", severity=usual, **toned)
    other = rule("other", "y > 1", severity="warning")
    scene = Scene(layers=LAYERS, severities=set_to)

    def severity(values: Observed) -> str:
        found = diagnose([observed(values)], [effect, cause, other], scene)
        return next(f.severity for f in found.findings if f.rule == "cause")

    assert severity({"x": {"fc1": 1}, "y": {"fc1": 1}}) == becomes
    assert severity({"x": {"fc1": 1}, "y": {"fc1": 2}}) == "info"


def test_a_cause_that_did_not_fire_explains_nothing() -> None:
    effect, cause = rule("effect", causes="[cause, stranger]"), rule("cause", "y > 0")

    found = diagnose([observed({"x": {"fc1": 1}, "y": {"fc1": 0}})], [effect, cause], Scene())

    assert found.findings[0].causes == ()


def judge(*rules: Rule) -> Diagnosis:
    """Judge rules that all fire."""
    return diagnose([observed({"x": {"fc1": 1}})], rules, Scene(layers=LAYERS))


@pytest.mark.parametrize("names", list(itertools.permutations("abc")))
def test_in_a_circle_only_the_earlier_category_explains_the_later(names: tuple[str, ...]) -> None:
    rules = {
        "a": rule("a", category="data", causes="[b, c]"),
        "b": rule("b", category="gradient", causes="[a, c]"),
        "c": rule("c", category="fit", causes="[a, b]"),
    }

    found = judge(*(rules[name] for name in names))

    assert {finding.rule: finding.causes for finding in found.findings} == {
        "a": (), "b": ("a",), "c": ("a", "b")}


def test_a_cause_outside_a_circle_stays() -> None:
    found = judge(rule("a", category="data", causes="[b, root]"),
                  rule("b", category="fit", causes="[a]"), rule("root", category="loop"))

    assert {finding.rule: finding.causes for finding in found.findings} == {
        "root": (), "a": ("root",), "b": ("a",)}


def test_a_rule_does_not_explain_itself() -> None:
    assert judge(rule("a", causes="[a]")).findings[0].causes == ()


def test_roots_come_by_severity_and_each_is_followed_by_what_it_explains() -> None:
    found = judge(
        rule("late", category="fit", causes="[early, other]"),
        rule("warned", category="data", severity="warning"),
        rule("early", category="wiring"),
        rule("noted", category="wiring", severity="info", causes="[warned]"),
        rule("other", category="activation"),
        rule("alone", category="numerics"),
    )

    assert [finding.rule for finding in found.findings] == [
        "early", "other", "late", "alone", "warned", "noted"]


def test_a_finding_hides_what_cannot_be_judged_beside_it() -> None:
    found = judge(rule("a", hides="[b, c, d, e]"), rule("b"), rule("c", "x > 5"),
                  rule("d", "y > 0"))

    assert [finding.rule for finding in found.findings] == ["a"]
    assert {name: verdict.verdict for name, verdict in found.verdicts.items()} == {
        "a": "fired", "b": "masked", "c": "masked", "d": "masked"}
    assert found.verdicts["b"].reason == "it cannot be judged before a is mended"


def test_a_rule_that_does_not_apply_is_not_masked() -> None:
    observation = observed({"x": {"fc1": 1}}, absent={"y": "no ReLU"})

    found = diagnose([observation], [rule("a", hides="[b]"), rule("b", "y > 0")], Scene())

    assert found.verdicts["b"].verdict == "not-applicable"


def test_a_masked_rule_hides_nothing_and_explains_nothing() -> None:
    found = judge(rule("a", category="fit", hides="[b]"), rule("b", category="data", hides="[c]"),
                  rule("c", category="wiring", causes="[b]"))

    assert {finding.rule: finding.causes for finding in found.findings} == {"a": (), "c": ()}


def test_of_two_that_hide_each_other_the_earlier_category_stands() -> None:
    found = judge(rule("a", category="fit", hides="[b]"), rule("b", category="data", hides="[a]"))

    assert [finding.rule for finding in found.findings] == ["b"]


@pytest.mark.parametrize("names", list(itertools.permutations("abcd")))
def test_in_a_circle_of_rules_that_hide_each_other_the_first_one_stands(
    names: tuple[str, ...],
) -> None:
    rules = {
        "a": rule("a", category="data", hides="[b]"),
        "b": rule("b", category="gradient", hides="[c]"),
        "c": rule("c", category="fit", hides="[a, d]"),
        "d": rule("d", category="data"),
    }

    found = judge(*(rules[name] for name in names))

    assert [finding.rule for finding in found.findings] == ["a", "c"]


def test_an_info_finding_hides_no_worse_rule() -> None:
    found = judge(rule("a", severity="info", hides="[b, c]"), rule("b"),
                  rule("c", severity="info"))

    assert [finding.rule for finding in found.findings] == ["b", "a"]
    assert found.verdicts["c"].verdict == "masked"
