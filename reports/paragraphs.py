"""One finding as paragraphs of Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.finding import Finding
from auditor.report import Report

from .album import Album
from .codeframe import frame_of
from .gfm import code, fence, folded, inline, table
from .outline import consequences_of, curves_of
from .standing import standing
from .trials import bars_of, is_dropped, joint_line, trial_curves
from .wording import (
    code_lines,
    evidence_name,
    evidence_value,
    is_address,
    plural,
    prose,
    subjects,
    trial_line,
    where,
)

# So many rows are read at a glance; more are folded.
_FEW_ROWS = 4


def finding_paragraphs(report: Report, finding: Finding, album: Album) -> Iterator[list[str]]:
    """Yield what a reader needs to know of a finding, the most needed first."""
    place = [code(where(finding.place)), subjects(report, finding, quote=code),
             f"{finding.confidence} confidence", inline(standing(finding))]
    yield [" · ".join(part for part in place if part)]
    frame = frame_of(finding.place)
    if frame:
        yield fence([frame.code, *([frame.carets] if frame.carets else [])], "python")
    yield from _said("Seen", finding.message)
    yield album.curves(report, curves_of(report, finding), finding.rule, finding.evidence)
    yield _evidence(finding)
    yield from _said("Why", finding.why)
    for position in range(len(finding.fixes)):
        yield from _fix(report, finding, position, album)
    below = consequences_of(report, finding)
    if below:
        told = (f"{code(other.rule)} ({inline(other.title)})" for other in below)
        yield [f"**Leads to.** {', '.join(told)}"]
    yield [" ".join([f"More: `audit explain {finding.rule}`.",
                     *(f"{_reference(text)}." for text in finding.references)])]


def _evidence(finding: Finding) -> list[str]:
    rows = [[inline(evidence_name(item, quote=_ticked)), inline(evidence_value(item))]
            for item in finding.evidence]
    if not rows:
        return []
    lines = table(("Measured", "Value"), rows)
    title = f"{plural(len(rows), 'measurement')} beside their limits"
    return lines if len(rows) <= _FEW_ROWS else folded(title, lines)


def _fix(report: Report, finding: Finding, position: int, album: Album) -> Iterator[list[str]]:
    fix = finding.fixes[position]
    label = "Or" if position else "Fix"
    name = f"{finding.rule}-fix{position + 1}"
    yield from _said("Tried and dropped" if is_dropped(fix) else label, fix.summary)
    lines = code_lines(fix.code)
    if lines:
        is_diff = any(line.startswith(("+", "-")) for line in lines)
        yield fence(lines, "diff" if is_diff else "python")
    yield from _said("Careful", fix.safety)
    yield from _said("Tried", trial_line(fix.trial))
    yield album.curves(report, trial_curves(fix), name)
    if position == 0 and report.joint:
        # What stands first was chosen, and tried beside the others.
        yield from _said("Among all fixes", joint_line(report, finding.rule))
        yield album.bars(bars_of(report, finding.rule), report.joint, f"{finding.rule}-bars")


def _ticked(name: str) -> str:
    # A backtick inside would end the span early: `inline` takes care of such a name as a word.
    return prose(name) if "`" in name else f"`{prose(name)}`"


def _said(label: str, text: str) -> Iterator[list[str]]:
    if text:
        yield [f"**{label}.** {inline(text[0].upper() + text[1:])}"]


def _reference(text: str) -> str:
    """Return a reference of a rule pack, its addresses as links."""
    words = prose(text).split(" ")
    return " ".join(f"<{word}>" if is_address(word) else inline(word) for word in words)
