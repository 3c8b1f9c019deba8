"""YAML files: what plain scalars mean, what is refused, and where errors point."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.document import MAX_BYTES, Document, read_document
from auditor.errors import PackError


def read(text: str | bytes) -> Document:
    return read_document(text, "x.yaml", PackError)


@pytest.mark.parametrize(("text", "value"), [
    ("1e-7", 1e-7), ("-1.5E+3", -1500.0), (".5", 0.5), ("3", 3), ("-0", 0), ("+4", 4),
    ("yes", "yes"), ("on", "on"), ("no", "no"), ("true", True), ("False", False),
    ("1:30", "1:30"), ("010", "010"), ("0x10", "0x10"), ("1_000", "1_000"),
    ("2026-01-02", "2026-01-02"), ("~", None), ("null", None), ("''", ""), ("'1'", "1"),
    (".inf", math.inf), ("-.inf", -math.inf), ("<<", "<<"), ("=", "="),
])
def test_a_plain_scalar_means_what_it_looks_like(text: str, value: object) -> None:
    found = read(f"key: {text}").data

    assert found == {"key": value}
    assert isinstance(found, dict)
    assert type(found["key"]) is type(value)


def test_nan_is_a_number() -> None:
    found = read("[.nan]").data

    assert isinstance(found, list)
    assert isinstance(found[0], float)
    assert math.isnan(found[0])


@pytest.mark.parametrize("text", [
    "key: 1\nkey: 2",
    "a: &x [1]\nb: *x",
    "a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]",
    "key: !!python/object/apply:os.system [ls]",
    "key: !thing 1",
    "key: !!bool maybe",
    "key: !!int one",
    "key: !!null something",
    "key: !!set {a, b}",
    "? [a, b]\n: 1",
    "a: 1\n---\nb: 2",
    "key: [1, 2",
    "key: 'open",
    "key:\n\t- tab",
    "key: \x00",
    "[" * 40 + "]" * 40,
    "- 1\n" * 110_000,
    "x" * (MAX_BYTES + 1),
    b"key: \xff\xfe",
])
def test_what_a_person_would_not_write_is_refused(text: str | bytes) -> None:
    with pytest.raises(PackError):
        read(text)


@pytest.mark.parametrize("text", [
    "\ufeffa: ä\nb: 1\n".encode(), "a: ä\r\nb: 1\r\n".encode(), "a: ä\rb: 1\r".encode(),
    "\ufeffa: ä\nb: 1",
])
def test_byte_order_marks_and_line_ends_make_no_difference(text: str | bytes) -> None:
    found = read(text)

    assert found.data == {"a": "ä", "b": 1}
    assert found.line(("b",)) == 2


def test_an_error_shows_file_line_and_column_with_a_caret() -> None:
    with pytest.raises(PackError) as refusal:
        read("a: 1\nb:\n  c: 1\n  c: 2\n")

    assert refusal.value.message == "key 'c' appears twice (first on line 3)"
    assert refusal.value.where.splitlines() == [
        "x.yaml:4:3", "   4 |   c: 2", "     |   ^",
    ]


def test_a_place_within_a_value_is_found_also_behind_a_quote() -> None:
    found = read('a: "one two"\nb: >\n  one\n  two\n')

    assert found.where(("a",), part=("one two", 4, 3)).splitlines()[2] == "     |         ^^^"
    assert found.where(("b",), part=("one two", 4, 3)).startswith("x.yaml:2:4")


def test_of_a_very_long_line_only_the_place_is_shown() -> None:
    with pytest.raises(PackError) as refusal:
        read("a: '" + "x" * 5000 + "' b" + "y" * 5000)

    head, source, marks = refusal.value.where.splitlines()
    assert head.startswith("x.yaml:1:50") and len(source) < 300
    assert source[marks.index("^")] == "b"


def test_a_missing_value_is_shown_at_its_parent() -> None:
    assert read("a:\n  - b: 1\n").where(("a", 0, "c")).startswith("x.yaml:2:5")


def test_an_empty_file_is_nothing() -> None:
    assert read("# only a comment\n").data is None


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80) | st.text(max_size=80)
       | st.from_regex(r"([a-c:\[\]{}&*!|>\-'\"#%@, \n]|\? ){0,60}", fullmatch=True))
def test_any_file_is_read_or_refused_and_every_value_has_a_place(data: bytes | str) -> None:
    try:
        found = read(data)
    except PackError as refusal:
        assert str(refusal)
        return
    assert found.where(()).startswith("x.yaml:")


@pytest.mark.parametrize("text", [
    "a: 1e-7\nb: [yes, 'no', \"x\\ty\"]\nc:\n  - d: >\n      folded\n      text\n", "a: 1\na: 2",
    "a: *x", "a: \x00", "a: [", "- 1\n" * 3 + "- " + "[" * 40,
])
def test_without_the_c_parser_files_are_read_alike(text: str) -> None:
    program = (
        "import sys, yaml\n"
        "if sys.argv[1] == 'pure': del yaml.CSafeLoader\n"
        "from auditor.document import read_document\n"
        "from auditor.errors import PackError\n"
        "try:\n"
        f"    found = read_document({text!r}, 'x', PackError)\n"
        "    print(found.data, found.where(('c', 0, 'd')), found.where(('b', 2)))\n"
        "except PackError:\n"
        "    print('refused')\n"
    )
    said = [
        subprocess.run([sys.executable, "-c", program, how], capture_output=True, text=True,
                       check=True).stdout
        for how in ("pure", "as it is")
    ]

    assert said[0] == said[1] != ""
