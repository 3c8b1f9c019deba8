"""One finding as the HTML page shows it: plain strings, with the charts drawn."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from auditor.finding import Evidence, Finding, Fix
from auditor.jointtrial import JointTrial
from auditor.observation import Series
from auditor.report import Report

from .bars import Bar, bars_svg
from .codeframe import CodeFrame, frame_of
from .outline import consequences_of, curves_of
from .pictures import Picture, pictures_of
from .standing import standing
from .trials import bars_of, is_dropped, joint_line, trial_curves
from .wording import (
    code_lines,
    evidence_name,
    evidence_value,
    is_address,
    prose,
    subjects,
    trial_line,
    where,
)

_DIFF_KINDS = {"+": "added", "-": "removed"}


@dataclass(frozen=True, slots=True)
class Word:
    """A piece of text, with what the page has to know about it."""

    text: str
    is_code: bool = False
    is_address: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawn chart with its caption and its values."""

    svg: Markup
    caption: str
    remarks: tuple[str, ...]
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class FixCard:
    """A fix.

    Attributes:
        summary: What to do.
        lines: The kind ("added", "removed", "") and the text of each line of the snippet.
        copy: What the copy button takes: the snippet without removed lines and signs.
        safety: What can change with it.
        tried: What a trial showed.
        dropped: It was tried and did not help.
        joint: What it is worth beside the other fixes.
        figures: The curves of the trial, and the bars with and without the other fixes.
    """

    summary: str
    lines: list[tuple[str, str]]
    copy: str
    safety: str
    tried: str
    dropped: bool
    joint: str
    figures: list[Figure]


@dataclass(frozen=True, slots=True)
class Below:
    """A finding that another one leads to."""

    rule: str
    title: str


@dataclass(frozen=True, slots=True)
class Card:
    """A finding; the strings are not escaped yet, the template does that."""

    rule: str
    severity: str
    title: str
    place: str
    facts: list[Word]
    frame: CodeFrame | None
    message: str
    figures: list[Figure]
    evidence: list[list[str]]
    why: str
    fixes: list[FixCard]
    causes: tuple[str, ...]
    leads: list[Below]
    references: list[list[Word]]


def card_of(report: Report, finding: Finding, ident: str) -> Card:
    """Return the finding's card; `ident` starts the ids of its charts."""
    return Card(
        rule=finding.rule, severity=finding.severity, title=prose(finding.title),
        place=where(finding.place), facts=_facts(report, finding), frame=frame_of(finding.place),
        message=prose(finding.message),
        figures=figures_of(report, curves_of(report, finding), finding.evidence, ident),
        evidence=[[evidence_name(item), evidence_value(item)] for item in finding.evidence],
        why=prose(finding.why), fixes=_fixes(report, finding, ident),
        causes=finding.causes, leads=[Below(other.rule, prose(other.title))
                                     for other in consequences_of(report, finding)],
        references=[_words(reference) for reference in finding.references],
    )


def figures_of(
    report: Report, series: Iterable[Series], evidence: Sequence[Evidence], ident: str,
) -> list[Figure]:
    """Return the drawn charts of some series; `ident` starts their ids."""
    return drawn(pictures_of(report, series, evidence), ident)


def drawn(pictures: Iterable[Picture], ident: str) -> list[Figure]:
    """Return pictures as the page shows them; `ident` starts their ids."""
    return [
        # The picture escapes what it writes, so the template must not do it again.
        Figure(Markup(picture.chart.svg(f"{ident}-{position}")), picture.chart.title,
               picture.remarks, picture.head, picture.rows)
        for position, picture in enumerate(pictures, 1)
    ]


def _facts(report: Report, finding: Finding) -> list[Word]:
    facts = [Word(where(finding.place), is_code=True), Word(subjects(report, finding)),
             Word(f"{finding.confidence} confidence"),
             Word(standing(finding))]
    return [fact for fact in facts if fact.text]


def _fixes(report: Report, finding: Finding, ident: str) -> list[FixCard]:
    cards = []
    for position, fix in enumerate(finding.fixes, 1):
        figures = figures_of(report, trial_curves(fix), (), f"{ident}-fix{position}")
        # What stands first was chosen, and tried beside the others.
        bars = bars_of(report, finding.rule) if position == 1 else []
        if bars and report.joint:
            figures.append(_bars(bars, report.joint, f"{ident}-bars"))
        cards.append(_fix(fix, figures, joint_line(report, finding.rule) if bars else ""))
    return cards


def _bars(bars: Sequence[Bar], joint: JointTrial, ident: str) -> Figure:
    caption = f"{joint.measure} after {joint.steps} steps, with and without the fixes"
    return Figure(Markup(bars_svg(bars, joint.measure, ident)), caption, (),
                  ("fixes", joint.measure), tuple((bar.label, bar.says) for bar in bars))


def _fix(fix: Fix, figures: list[Figure], joint: str) -> FixCard:
    lines = code_lines(fix.code)
    is_diff = any(line.startswith(("+", "-")) for line in lines)
    kept = [line[1:] for line in lines if not line.startswith("-")] if is_diff else lines
    kinds = [(_DIFF_KINDS.get(line[:1], "") if is_diff else "", line) for line in lines]
    return FixCard(prose(fix.summary), kinds, textwrap.dedent("\n".join(kept)), prose(fix.safety),
                   trial_line(fix.trial), is_dropped(fix), joint, figures)


def _words(reference: str) -> list[Word]:
    return [Word(word, is_address=is_address(word)) for word in prose(reference).split(" ")]
