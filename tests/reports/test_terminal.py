from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module

import pytest
from rich.console import Console
from sample_hostile import HOSTILE, hostile
from sample_reports import failing, healthy, incomplete

from auditor.report import Report

terminal = import_module("auditor.reports.terminal")
SAMPLES = {"failing": failing(), "healthy": healthy(), "incomplete": incomplete()}
# Code keeps its lines so that it can be copied; references keep their addresses.
_MAY_BE_LONG = re.compile(r"^ +\d* \||^ {10}([-+]|F\.)|https://")


def _print(report: Report, width: int = 80, *, verbose: bool = False, color: bool = False,
           encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
    console = Console(file=file, width=width, force_terminal=color, legacy_windows=False,
                      color_system="truecolor" if color else None)
    terminal.render_terminal(report, console, verbose)
    file.flush()
    return raw.getvalue().decode(encoding)


def _without_color(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_text_is_the_golden_one(
    name: str, same_as_golden: Callable[[str, str], None],
) -> None:
    same_as_golden(terminal.TerminalRenderer().render(SAMPLES[name]), f"{name}.txt")


def test_the_verbose_text_is_the_golden_one(same_as_golden: Callable[[str, str], None]) -> None:
    same_as_golden(_print(failing(), 100, verbose=True), "failing-verbose.txt")


def test_rendering_twice_gives_the_same_bytes() -> None:
    renderer = terminal.TerminalRenderer()

    assert renderer.render(failing()) == renderer.render(failing())


@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("report", [failing(), incomplete()])
def test_text_is_wrapped_to_the_console_and_to_110_columns(
    report: Report, width: int, verbose: bool,
) -> None:
    lines = _print(report, width, verbose=verbose).splitlines()

    assert [x for x in lines if len(x) > min(width, 110) and not _MAY_BE_LONG.search(x)] == []


def test_a_line_that_is_too_long_is_broken_in_the_middle_and_between_parts() -> None:
    lines = _print(failing(), 50).splitlines()

    assert lines[:2] == ["model.py will not train properly as it",
                         "  is: 5 errors, 1 warning; 4 root causes"]
    assert lines[-2:] == ["model.py: DeepGate, 58.9 k parameters, cpu,", "  12.3 s, seed 0"]


@pytest.mark.parametrize("width", range(36, 60))
def test_at_every_width_the_last_line_is_broken_between_its_parts(width: int) -> None:
    lines = _print(healthy(), width).splitlines()
    begin = max(i for i, line in enumerate(lines) if not line.startswith(" "))

    assert all(line.endswith(",") for line in lines[begin:-1])


def test_the_curves_of_a_trial_stand_on_one_scale() -> None:
    assert "▁▁▁▁▁ as it is, ▁▃▆██ mended (accuracy, 0.1 to 0.87)" in _print(failing())


def test_what_all_fixes_do_together_is_said_once() -> None:
    said = " ".join(_print(failing()).split())

    assert said.count("All 2 fixes together: accuracy after 60 steps 10 % -> 78 to 87 %") == 1


def test_code_is_never_wrapped() -> None:
    lines = _print(failing(), 40).splitlines()

    place = failing().findings[1].place
    assert place is not None
    assert f" 19 | {place.code}" in lines


def test_there_is_no_colour_when_the_output_is_no_terminal() -> None:
    assert "\x1b" not in _print(failing())


def test_colour_changes_no_word() -> None:
    colored = _print(failing(), color=True)

    assert "\x1b[" in colored
    assert _without_color(colored) == _print(failing())


@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
def test_a_terminal_without_unicode_is_served(encoding: str, verbose: bool) -> None:
    text = _print(hostile(), verbose=verbose, encoding=encoding)

    assert "dying-relu" in text
    assert "\\u202e" in text


def test_an_ascii_terminal_gets_ascii_lines() -> None:
    assert "-" * 80 in _print(failing(), encoding="ascii")


@pytest.mark.parametrize("color", [False, True])
def test_strings_of_the_user_are_no_markup_and_no_escape_codes(color: bool) -> None:
    text = _without_color(_print(hostile(), 110, verbose=True, color=color))

    assert "[bold red]x[/nothing]" in text
    assert "\\x1b[31mred\\x1b[0m" in text
    assert not set(text) & set("\x1b\x07\u202e")


def test_hostile_code_keeps_its_characters() -> None:
    shown = HOSTILE.replace("\x1b", "\\x1b").replace("\x07", "\\x07").replace("\u202e", "\\u202e")

    assert f"  3 |     {shown}" in _print(hostile())


def test_consequences_are_repeated_only_when_asked() -> None:
    block = "\nerror[cannot-overfit]: "

    assert block not in _print(failing())
    assert block in _print(failing(), verbose=True)


def test_rules_that_were_not_measured_are_named_with_the_reason() -> None:
    text = " ".join(_print(incomplete()).split())

    assert ("lr-too-high, lr-too-low: probe learning-rate failed: RuntimeError: the loss of a "
            "trial has no gradient") in text


def test_ignored_findings_take_one_line_with_the_reason() -> None:
    first, *others = failing().findings
    ignored = replace(first, ignored="net.py:9: on purpose")
    text = _print(replace(failing(), findings=(ignored, *others)))

    assert "error[dying-relu]" not in text
    assert "ignored  dying-relu: All 64 units" in text
    assert "net.py:9: on purpose" in text


def test_known_findings_take_one_line() -> None:
    first, *others = failing().findings
    text = _print(replace(failing(), findings=(replace(first, known=True), *others)))

    assert "error[dying-relu]" not in text
    assert "known  dying-relu: All 64 units" in text


def test_a_report_without_anything_can_be_printed() -> None:
    assert "No rule was judged" in _print(Report("incomplete"), verbose=True)
