"""Two reports side by side, as Markdown for a pull request and as text."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.compare import Comparison, Move
from auditor.finding import Finding

from .gfm import code, folded, inline, table
from .standing import standing
from .wording import plural, prose, quantity, target_name, where

# More measurements than these are noise to a reader; the JSON has them all.
_MOST_MOVES = 20
_MARKS = {"error": "❌", "warning": "⚠️", "info": "ℹ️"}


def comparison_sentence(comparison: Comparison) -> str:
    """Return the result in one sentence."""
    worse = len(comparison.regressions("info"))
    told = [f"{plural(worse, 'finding')} new or worse" if worse else "",
            f"{len(comparison.gone)} gone" if comparison.gone else ""]
    counts = ", ".join(part for part in told if part) or "no finding has changed"
    return f"{target_name(comparison.new)}: {counts}"


def comparison_text(comparison: Comparison) -> str:
    """Return plain text for a terminal."""
    lines = [comparison_sentence(comparison)]
    for title, entries in _sections(comparison):
        lines += ["", title, *(f"  {entry}" for entry in entries)]
    return "\n".join(lines) + "\n"


def comparison_markdown(comparison: Comparison) -> str:
    """Return GitHub-flavoured Markdown."""
    blocks = [f"### {inline(comparison_sentence(comparison))}"]
    rows = [*_rows("new", comparison.appeared), *_changed_rows(comparison),
            *_rows("gone", comparison.gone)]
    if rows:
        blocks.append("\n".join(table(("", "Rule", "Finding", "Where"), rows)))
    moves = comparison.moved
    if moves:
        told = [[code(_name(move)), code(_value(move, "old")), code(_value(move, "new")),
                 inline(_distance(move))] for move in moves[:_MOST_MOVES]]
        head = ("Measurement", "Before", "Now", "By")
        blocks.append("\n".join(folded(_moves_title(comparison), table(head, told))))
    if comparison.lost:
        blocks.append("\n".join(table(("No longer judged", "Reason"), [
            [code(rule), inline(reason)] for rule, reason in comparison.lost.items()])))
    blocks.append("\n".join(f"- {inline(note)}" for note in comparison.notes))
    return "\n\n".join(block for block in blocks if block) + "\n"


def _sections(comparison: Comparison) -> Iterator[tuple[str, list[str]]]:
    found = [
        ("New", [_line(finding) for finding in comparison.appeared]),
        ("Changed", [f"{_line(change.new)} ({prose(', '.join(change.says))})"
                     for change in comparison.changed]),
        ("Gone", [_line(finding) for finding in comparison.gone]),
        ("No longer judged", [f"{rule}: {prose(why)}" for rule, why in comparison.lost.items()]),
        (_moves_title(comparison), [
            f"{_name(move)}: {_value(move, 'old')} -> {_value(move, 'new')} ({_distance(move)})"
            for move in comparison.moved[:_MOST_MOVES]]),
        ("Notes", [prose(note) for note in comparison.notes]),
    ]
    yield from ((title, lines) for title, lines in found if lines)


def _line(finding: Finding) -> str:
    aside = standing(finding)
    place = where(finding.place)
    parts = [f"{finding.severity}[{finding.rule}]: {prose(finding.title)}",
             f"({place})" if place else "", f"({aside})" if aside else ""]
    return " ".join(part for part in parts if part)


def _rows(word: str, findings: tuple[Finding, ...]) -> list[list[str]]:
    return [[f"{_MARKS[finding.severity]} {_word(word, finding)}", code(finding.rule),
             inline(finding.title), code(where(finding.place))] for finding in findings]


def _word(word: str, finding: Finding) -> str:
    return f"{word}, {'ignored' if finding.ignored else 'known'}" if not finding.is_open else word


def _changed_rows(comparison: Comparison) -> list[list[str]]:
    return [[f"{_MARKS[item.new.severity]} {'worse' if item.worse else 'changed'}",
             code(item.new.rule), inline("; ".join(item.says)), code(where(item.new.place))]
            for item in comparison.changed]


def _moves_title(comparison: Comparison) -> str:
    count = len(comparison.moved)
    shown = f", {_MOST_MOVES} shown" if count > _MOST_MOVES else ""
    return f"{plural(count, 'measurement')} moved beyond the noise{shown}"


def _name(move: Move) -> str:
    return prose(f"{move.name} of {move.subject}" if move.subject else move.name)


def _value(move: Move, which: str) -> str:
    return quantity(move.old if which == "old" else move.new, move.unit)


def _distance(move: Move) -> str:
    if move.size == float("inf"):
        return "another value"
    return f"{move.size:.0%}" if move.noise is None else f"{move.size:.1f} spreads"
