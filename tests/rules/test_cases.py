"""Every rule of the built-in packs against its cases, and the form of its page."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor import registry
from auditor.probe import Probe
from auditor.rule import Rule
from auditor.testing import RuleCase, load_cases, missing_kinds, page_problems, run_case

PACKS = registry.rules()
RULES = PACKS.items
CASES = Path(__file__).parent / "cases"
FILES = sorted(CASES.glob("*.yaml"))


@pytest.fixture(scope="module")
def probes() -> registry.Found[type[Probe]]:
    return registry.probes()


def every_case() -> list[object]:
    return [
        pytest.param(path.stem, case, id=f"{path.stem}: {case.name}")
        for path in FILES for case in load_cases(path)
    ]


@pytest.mark.parametrize(("rule", "case"), every_case())
def test_a_case_gets_its_verdict(rule: str, case: RuleCase) -> None:
    run_case(RULES[rule], case, tuple(RULES.values()))


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_a_rule_has_the_four_kinds_of_cases(rule: Rule) -> None:
    path = CASES / f"{rule.id}.yaml"
    cases = load_cases(path) if path.is_file() else ()

    assert missing_kinds(rule, cases) == []


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_a_rule_has_a_page_with_the_right_headings(rule: Rule) -> None:
    assert page_problems(rule, registry.page(rule.id)) == []


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_a_rule_speaks_of_what_our_probes_measure(
    rule: Rule, probes: registry.Found[type[Probe]]
) -> None:
    registry.check_rules([rule], PACKS, probes)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_case_file_belongs_to_a_rule(path: Path) -> None:
    assert path.stem in RULES


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_the_rules_that_a_rule_names_exist(rule: Rule) -> None:
    assert {*rule.causes, *rule.hides} <= set(RULES)
