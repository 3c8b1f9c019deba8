"""The condition language: what it says of values, and what it refuses with a caret."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.condition import Comparison, Condition, NameKind, compile_condition
from auditor.expression import ConditionError

QUANTITIES: dict[str, NameKind] = {
    "share": "number", "samples": "number", "frozen": "flag", "open": "either", "words": "text",
}
THRESHOLDS = frozenset({"limit", "floor"})
VALUES = {"share": 0.6, "samples": 100, "frozen": False, "limit": 0.5, "floor": 0.1}


def condition(text: str) -> Condition:
    return compile_condition(text, QUANTITIES, THRESHOLDS)


@pytest.mark.parametrize(("text", "answer"), [
    ("share > limit", True),
    ("share >= 0.6", True),
    ("share < limit", False),
    ("limit < share", True),
    ("floor < share < limit", False),
    ("floor < share <= 0.6", True),
    ("samples == 100 and share != 1", True),
    ("frozen or share > limit", True),
    ("not frozen", True),
    ("not (share > limit and not frozen)", False),
    ("share > -1.5e-3", True),
    ("  share > limit\n  and samples > 10 ", True),
])
def test_a_condition_is_true_or_false_of_values(text: str, answer: bool) -> None:
    assert condition(text).holds(VALUES) is answer


@pytest.mark.parametrize("sign", ["<", "<=", ">", ">=", "==", "!="])
def test_a_comparison_with_nan_is_false(sign: str) -> None:
    assert not condition(f"share {sign} limit").holds({**VALUES, "share": math.nan})


@pytest.mark.parametrize("sign", ["<", "<=", ">", ">=", "==", "!="])
def test_a_comparison_with_a_missing_value_is_false_also_under_not(sign: str) -> None:
    values = {"limit": 0.5}

    assert not condition(f"share {sign} limit").holds(values)
    assert not condition(f"not share {sign} limit").holds(values)


def test_a_missing_value_does_not_matter_where_the_answer_does_not_hang_on_it() -> None:
    assert condition("share > limit or open").holds(VALUES)
    assert not condition("share > limit and open").holds(VALUES)


def test_comparisons_say_what_has_to_be_true_with_the_quantity_on_the_left() -> None:
    found = condition("limit < share <= 0.9 and not (samples >= 10 or frozen)").comparisons

    assert found == (
        Comparison("share", ">", "limit"),
        Comparison("share", "<=", 0.9),
        Comparison("samples", "<", 10.0),
        Comparison("frozen", "is not", None),
    )
    assert [item.held(VALUES) for item in found] == [True, True, False, True]


@pytest.mark.parametrize(("text", "message", "caret"), [
    ("shar > limit", "did you mean 'share'?", "shar"),
    ("share > limt", "did you mean 'limit'?", "limt"),
    ("share + 1 > limit", "no arithmetic", "share + 1"),
    ("share * 2 > limit", "no arithmetic", "*"),
    ("share ** 2 > limit", "no arithmetic", "*"),
    ("abs(share) > limit", "a call", "abs(share)"),
    ("share.real > limit", "an attribute", "share.real"),
    ("share = limit", "use ==", "="),
    ("share > 'x'", "has no place", "'"),
    ("share > limit; share", "has no place", ";"),
    ("share is limit", "only <", "share is limit"),
    ("(share for share in limit)", "GeneratorExp", "(share for share in limit)"),
    ("share if frozen else limit", "if and else", "share if frozen else limit"),
    ("share", "'share' is a number", "share"),
    ("frozen > 1", "'frozen' is a flag", "frozen"),
    ("words > 1", "'words' is a text", "words"),
    ("open and open > 1", "'open' is a flag", "open"),
    ("limit > floor", "nothing measured", "limit > floor"),
    ("1 < 2", "nothing measured", "1 < 2"),
    ("True", "write the flag itself", "True"),
    ("frozen == True", "'frozen' is a flag", "frozen"),
    ("share > 1e999", "too large", "1e999"),
    ("share > " + "9" * 400, "too large", "9" * 400),
    ("share > 1j", "this constant", "1j"),
    ("share > limit limit", "no condition", "l"),
    ("share >", "no condition", ""),
    ("", "empty", ""),
    ("   ", "empty", ""),
    ("ſhare > limit", "has no place", "ſ"),
    ("(" * 21 + "share > limit" + ")" * 21, "deep", "("),
    ("not " * 40 + "frozen", "in a row", "n"),
    ("share > " + "-" * 40 + "1", "in a row", "-"),
    ("frozen or " * 60 + "frozen", "at most 500", "f"),
])
def test_anything_else_is_refused_with_a_caret_under_it(
    text: str, message: str, caret: str
) -> None:
    with pytest.raises(ConditionError) as refusal:
        condition(text)

    found = refusal.value
    assert message in found.message
    assert not caret or text[found.column:found.column + found.width] == caret
    assert str(found).splitlines()[-1].strip() == "^" * found.width


def test_the_columns_count_from_the_start_of_the_text_also_after_blanks() -> None:
    with pytest.raises(ConditionError) as refusal:
        condition("   share > limit and nothing > 1")

    assert refusal.value.column == "   share > limit and nothing > 1".index("nothing")


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60) | st.from_regex(r"[a-z<>=!() .0-9+\-]{0,60}", fullmatch=True))
def test_any_text_is_a_condition_or_refused(text: str) -> None:
    try:
        found = condition(text)
    except ConditionError:
        return
    assert found.holds(VALUES) in (True, False)
