"""The kit for rule authors: it says what differs, what is missing, and where."""

from __future__ import annotations

from pathlib import Path

import pytest
from sample_rules import rule

from auditor.errors import PackError
from auditor.testing import (
    HEADINGS,
    MAX_PAGE_LINES,
    RuleCase,
    load_cases,
    missing_kinds,
    page_problems,
    run_case,
)

RULE = rule("some-rule", "x > most and y >= 3",
            thresholds="{most: {default: 0.5, unit: share, source: s}}",
            severity_when="{warning: z < 1}")
CASES = """\
- name: two layers
  expect: fired
  severity: error
  confidence: high
  observe:
    x: {fc1: 0.6, fc2: .inf, fc3: 0.1}
    y: 3
  layers: [fc1, fc2]
- name: almost
  expect: clear
  observe: {x: {fc1: 0.49}, y: 3}
- name: on the limit
  expect: clear
  observe: {x: {fc1: 0.5}, y: 3}
- name: no time
  expect: not-measured
  missed: {x: no time}
  observe: {y: 3}
"""


def written(folder: Path, text: str) -> tuple[RuleCase, ...]:
    path = folder / "some-rule.yaml"
    path.write_text(text, encoding="utf-8")
    return load_cases(path)


def test_cases_that_hold_pass(tmp_path: Path) -> None:
    cases = written(tmp_path, CASES)

    assert [bool(run_case(RULE, case)) for case in cases] == [True, False, False, False]
    assert missing_kinds(RULE, cases) == []


@pytest.mark.parametrize(("old", "new", "message"), [
    ("expect: fired", "expect: clear", "some-rule is fired, not clear"),
    ("expect: not-measured", "expect: clear", r"is not-measured, not clear \(no time\)"),
    ("severity: error", "severity: info", "severity is error, not info"),
    ("confidence: high", "confidence: low", "confidence is high, not low"),
    ("[fc1, fc2]", "[fc2, fc1]", "layers is"),
    ("name: almost", "name: almost\n  severity: error", "severity is None, not error"),
])
def test_a_case_that_does_not_hold_says_what_differs(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    cases = written(tmp_path, CASES.replace(old, new, 1))

    with pytest.raises(AssertionError, match=rf"some-rule.yaml:\d+: .*{message}"):
        for case in cases:
            run_case(RULE, case)


@pytest.mark.parametrize(("dropped", "kind"), [
    (0, "one that fires"), (2, "one exactly on the limit"),
    (3, "one with a measurement missing"),
])
def test_a_kind_that_is_missing_is_named(tmp_path: Path, dropped: int, kind: str) -> None:
    cases = [case for case in written(tmp_path, CASES.replace("y: 3", "y: 4"))]
    del cases[dropped]

    assert missing_kinds(RULE, cases) == [kind]


def test_a_rule_without_cases_lacks_all_four_kinds() -> None:
    assert len(missing_kinds(RULE, [])) == 4


def test_a_rule_of_flags_needs_no_case_on_the_limit() -> None:
    assert "one exactly on the limit" not in missing_kinds(rule("flags", "not x"), [])


def test_a_masked_rule_is_judged_beside_the_one_that_hides_it() -> None:
    hiding = rule("hiding", "y > 0", hides="[some-rule]", for_each="run")
    case = RuleCase("behind it", "masked", observe={"x": {"fc1": 1}, "y": 3})

    run_case(RULE, case, [RULE, hiding])
    with pytest.raises(AssertionError, match="is fired, not masked"):
        run_case(RULE, case, [RULE])


@pytest.mark.parametrize("text", [
    "name: x", "- name: x\n  expect: perhaps", "- name: x\n  expect: fired\n  observed: {}",
    "- expect: fired",
])
def test_a_file_of_another_form_is_refused_with_its_place(tmp_path: Path, text: str) -> None:
    with pytest.raises(PackError) as refusal:
        written(tmp_path, text)

    assert refusal.value.where.startswith("some-rule.yaml:")


def test_an_unknown_key_of_a_case_is_shown_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="unknown key 'observed'; did you mean 'observe'?"):
        written(tmp_path, "- name: x\n  expect: fired\n  observed: {}")


def page(*, drop: str = "", extra: str = "") -> str:
    parts = [f"## {heading}\nText.\n" for heading in HEADINGS if heading != drop]
    return "\n".join(["# some-rule\n", *parts, extra])


def test_a_page_of_the_right_form_has_no_problems() -> None:
    assert page_problems(RULE, page(extra="```python\n# a comment\n```\n")) == []


@pytest.mark.parametrize(("text", "message"), [
    (None, "has no page"),
    (page(drop="Fix"), "the headings are"),
    (page(extra="## More\nText."), "the headings are"),
    (page(extra="\n" * MAX_PAGE_LINES + "x"), "lines"),
    (page().replace("## Fix\nText.", "## Fix"), "nothing stands under 'Fix'"),
    (page().replace("# some-rule", "# other-rule"), "the headings are"),
])
def test_a_page_of_another_form_says_what_is_wrong(text: str | None, message: str) -> None:
    assert message in " ".join(page_problems(RULE, text))
