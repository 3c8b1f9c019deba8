"""From a pack to rules, and rules against what probes can measure."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.errors import PackError
from auditor.observation import Quantity
from auditor.packs import check_against, load_packs, parse_pack
from auditor.rule import Rule

PACK = """\
category: gradient
rules:
  - id: some-rule
    since: 0.1.0
    status: stable
    severity: warning
    confidence: low
    for_each: parameter
    requires: [ratio]
    mentions: [is_bias, depth]
    when: ratio < low or ratio > high
    severity_when: {error: ratio > 1, info: is_bias}
    confidence_when: {high: depth > 3}
    thresholds:
      low: {default: 1e-5, unit: share, source: s}
      high: {default: 0.1, unit: share, source: s}
    title: t {layer}
    title_pass: p
    message: m
    why: w
    fixes: [{summary: s, when: not is_bias, remedy: r}]
"""


def rule(text: str = PACK) -> Rule:
    return parse_pack(text, "x.yaml")[0]


def quantities(**changed: Quantity) -> dict[str, Quantity]:
    return {
        "ratio": Quantity("ratio", "share", "", "parameter"),
        "is_bias": Quantity("is_bias", "", "", "parameter", "flag"),
        "depth": Quantity("depth", "layers", ""),
        **changed,
    }


def test_a_rule_holds_what_the_pack_says() -> None:
    found = rule()

    assert (found.id, found.category, found.severity) == ("some-rule", "gradient", "warning")
    assert [severity for severity, _ in found.severity_when] == ["error", "info"]
    assert found.thresholds["low"].default == 1e-5
    assert found.fixes[0].remedy == "r"
    assert found.origin == "x.yaml:3"


@pytest.mark.parametrize(("scope", "place"), [
    ("layer", "layer"), ("parameter", "layer"), ("feature", "none"),
])
def test_the_place_is_that_of_the_layer_unless_the_pack_says_otherwise(
    scope: str, place: str
) -> None:
    text = PACK.replace("for_each: parameter", f"for_each: {scope}")

    assert rule(text).place == place
    assert rule(text.replace("why: w", "why: w\n    place: loss")).place == "loss"


def test_rules_that_fit_the_probes_pass() -> None:
    check_against([rule()], quantities())


@pytest.mark.parametrize(("changed", "message"), [
    (Quantity("ratio", "", "", "layer"), "measured for each layer"),
    (Quantity("ratio", "", "", "run"), "requires only values of the run"),
    (Quantity("ratio", "", "", "parameter", "flag"), "'ratio' is a flag"),
    (Quantity("ratio", "", "", "parameter", "text"), "'ratio' is a text"),
])
def test_a_quantity_of_another_scope_or_kind_is_refused(changed: Quantity, message: str) -> None:
    with pytest.raises(PackError, match=message) as found:
        check_against([rule()], quantities(ratio=changed))

    assert found.value.where == "x.yaml:3"


def test_a_quantity_that_no_probe_measures_is_named_with_the_nearest() -> None:
    known = quantities()
    known["ratios"] = known.pop("ratio")

    with pytest.raises(PackError, match="needs 'ratio', which no installed.*'ratios'"):
        check_against([rule()], known)


def test_packs_of_a_folder_come_in_the_order_of_the_catalogue(tmp_path: Path) -> None:
    for name, category in (("a", "numerics"), ("b", "data"), ("c", "gradient")):
        text = PACK.replace("gradient", category).replace("some-rule", f"rule-{name}")
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "notes.txt").write_text("no pack", encoding="utf-8")

    found = load_packs(tmp_path, "mine")

    assert [item.id for item in found] == ["rule-b", "rule-c", "rule-a"]
    assert found[0].origin == "mine/b.yaml:3"
