"""Texts with placeholders: what they show, and what they refuse."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.observation import Scalar
from auditor.template import TemplateError, compile_template

NAMES = frozenset({"share", "count", "snippet", "flag"})


@pytest.mark.parametrize(("text", "shown"), [
    ("{share:.0%} of {count}", "61% of 1000"),
    ("{share}", "0.612"),
    ("{share:.1e}", "6.1e-01"),
    ("{count:d} and {count:,}", "1000 and 1,000"),
    ("{snippet}", "[0.1, {a.b}]"),
    ("{snippet:.2f}", "[0.1, {a.b}]"),
    ("{flag}", "yes"),
    ("dict = {{'a': {count}}}", "dict = {'a': 1000}"),
    ("nothing", "nothing"),
])
def test_values_are_shown_as_people_write_them(text: str, shown: str) -> None:
    values: dict[str, Scalar] = {
        "share": 0.6123, "count": 1000.0, "snippet": "[0.1, {a.b}]", "flag": True,
    }

    assert compile_template(text, NAMES).fill(values) == shown


def test_a_missing_value_shows_as_a_question_mark() -> None:
    assert compile_template("{share:.0%} of {count}", NAMES).fill({"count": 3}) == "? of 3"


@pytest.mark.parametrize("spec", ["", ":.0%", ":d", ":.3g", ":,"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_can_be_shown(value: float, spec: str) -> None:
    assert compile_template(f"{{share{spec}}}", NAMES).fill({"share": value}) == str(value)


@pytest.mark.parametrize(("text", "message"), [
    ("{shar}", "did you mean 'share'?"),
    ("{}", "is no placeholder"),
    ("{0}", "is no placeholder"),
    ("{share.__class__}", "is no placeholder"),
    ("{share[0]}", "is no placeholder"),
    ("{share!r}", "has no meaning"),
    ("{share:{count}}", "no number format"),
    ("{share:>1000000000}", "no number format"),
    ("{share:.999f}", "no number format"),
    ("{share", "braces"),
    ("share}", "braces"),
])
def test_anything_but_a_declared_name_is_refused(text: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message.replace("?", r"\?")):
        compile_template(text, NAMES)


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=40) | st.from_regex(r"([{}!:.%]|share|[a-g0-9,+ ]){0,12}", fullmatch=True),
    st.floats() | st.integers() | st.booleans() | st.text(max_size=5),
)
def test_any_text_is_a_template_that_can_be_filled_or_refused(
    text: str, value: float | bool | str
) -> None:
    try:
        template = compile_template(text, NAMES)
    except TemplateError:
        return
    template.fill(dict.fromkeys(NAMES, value))
    template.fill({})
