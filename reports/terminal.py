"""The report for a person at a terminal: root causes first, then what could not be judged."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from auditor.compare import Comparison
from auditor.finding import Finding, Fix
from auditor.report import Report

from .codeframe import frame_of
from .comparison import comparison_text
from .outline import (
    Outline,
    consequences_of,
    curves_of,
    outline_of,
    probe_rows,
    rules_by_reason,
    sources_of,
)
from .page import Page
from .sparkline import compared, sparkline
from .trials import is_dropped, joint_line, together_line, trial_curves
from .wording import (
    changed_limits,
    code_lines,
    count_verdicts,
    evidence_line,
    is_address,
    prose,
    run_line,
    subjects,
    trial_line,
    verdict_sentence,
    where,
)

_STYLES = {
    "error": "bold red", "warning": "bold yellow", "info": "bold blue",
    "fail": "bold red", "warn": "bold yellow", "pass": "bold green", "incomplete": "bold yellow",
}
_DIFF_STYLES = {"+": "green", "-": "red"}
_PLAIN_WIDTH = 80
_FEW_CURVES, _MANY_CURVES = 1, 6


@dataclass(frozen=True, slots=True)
class TerminalRenderer:
    """Writes the report as text, in colour where the terminal has it."""

    name: str = "terminal"
    suffixes: tuple[str, ...] = (".txt",)
    says: str = "text for a person at a terminal"

    def render(self, report: Report) -> str:
        """Return the text at 80 columns without colour."""
        console = Console(file=io.StringIO(), width=_PLAIN_WIDTH, force_terminal=False,
                          color_system=None, legacy_windows=False)
        with console.capture() as written:
            render_terminal(report, console)
        return written.get()

    def render_comparison(self, comparison: Comparison) -> str:
        """Return plain text."""
        return comparison_text(comparison)

    def write(self, report: Report, console: Console, verbose: bool = False) -> None:
        """Print the report on a console, see `render_terminal`."""
        render_terminal(report, console, verbose)


def render_terminal(report: Report, console: Console, verbose: bool = False) -> None:
    """Print the report on a console.

    Args:
        report: What to print.
        console: Gives width, colour and encoding.
        verbose: Also print all evidence, further fixes, consequences in full and clear rules.
    """
    page = Page(console)
    outline = outline_of(report)
    page.line(Text(verdict_sentence(report), _STYLES[report.verdict]))
    for finding in (*outline.full, *(outline.explained if verbose else ())):
        _block(page, report, finding, verbose)
    if outline.notes:
        page.blank()
    for finding in outline.notes:
        _note(page, report, finding, verbose)
    page.blank()
    page.rule()
    _summary(page, report, outline, verbose)


def _block(page: Page, report: Report, finding: Finding, verbose: bool) -> None:
    page.blank()
    page.line(_headline(finding))
    page.parts(_place_line(report, finding), "  ", indent=7)
    _code(page, finding)
    page.blank()
    page.entry("seen", prose(finding.message))
    for item in finding.evidence if verbose else changed_limits(finding):
        page.entry("", evidence_line(item))
    _curves(page, report, finding, verbose)
    page.entry("why", prose(finding.why))
    _fixes(page, report, finding, verbose)
    page.entry("cause", ", ".join(finding.causes))
    follows = [_headline(below) for below in consequences_of(report, finding)]
    for position, line in enumerate(follows):
        page.entry("leads to" if position == 0 else "", line)
    page.entry("more", f"audit explain {finding.rule}")
    for reference in finding.references if verbose else finding.references[:1]:
        _reference(page, reference)


def _headline(finding: Finding) -> Text:
    tag = Text().append(f"{finding.severity}[{finding.rule}]", _STYLES[finding.severity])
    return tag.append(f": {prose(finding.title)}")


def _place_line(report: Report, finding: Finding) -> list[Text]:
    confidence = "" if finding.confidence == "high" else f"({finding.confidence} confidence)"
    parts = [part for part in (where(finding.place), subjects(report, finding), confidence) if part]
    told = [Text(part) for part in parts]
    return [Text().append("   --> ", "blue").append_text(told[0]), *told[1:]] if told else []


def _code(page: Page, finding: Finding) -> None:
    frame = frame_of(finding.place)
    if frame is None:
        return
    gutter = max(len(str(frame.line)), 2)
    page.code(Text().append(f" {'':{gutter}} |", "blue"))
    page.code(Text().append(f" {frame.line:>{gutter}} | ", "blue").append(frame.code))
    if frame.carets:
        carets = Text().append(f" {'':{gutter}} | ", "blue")
        page.code(carets.append(frame.carets, _STYLES[finding.severity]))


def _curves(page: Page, report: Report, finding: Finding, verbose: bool) -> None:
    curves = list(curves_of(report, finding))[: None if verbose else _FEW_CURVES]
    if verbose:
        every = (series for seen in sources_of(report, finding) for series in seen.series)
        curves += [series for series in every if series not in curves]
    for series in curves[:_MANY_CURVES]:
        page.entry("", sparkline(series, page.is_ascii))


def _fixes(page: Page, report: Report, finding: Finding, verbose: bool) -> None:
    shown = finding.fixes if verbose else finding.fixes[:1]
    for position, fix in enumerate(shown):
        label = "fix" if position == 0 else "or"
        page.entry("not this" if is_dropped(fix) else label, prose(fix.summary))
        _fix_code(page, fix)
        page.entry("careful", prose(fix.safety))
        page.entry("tried", trial_line(fix.trial))
        page.entry("", compared(trial_curves(fix), page.is_ascii))
        if position == 0:
            page.entry("", joint_line(report, finding.rule))


def _fix_code(page: Page, fix: Fix) -> None:
    lines = code_lines(fix.code)
    is_diff = lines and all(line[:1] in ("+", "-", " ", "") for line in lines)
    for line in lines:
        page.snippet(line, _DIFF_STYLES.get(line[:1], "default") if is_diff else "cyan")


def _reference(page: Page, reference: str) -> None:
    words = prose(reference).split(" ")
    page.entry("", " ".join(word for word in words if not is_address(word)))
    for word in filter(is_address, words):
        page.snippet(word)


def _note(page: Page, report: Report, finding: Finding, verbose: bool) -> None:
    place = where(finding.place)
    page.line(_headline(finding).append(f"  --> {place}" if place else "", "blue"))
    if verbose:
        page.entry("seen", prose(finding.message))
        _fixes(page, report, finding, verbose)
        page.entry("more", f"audit explain {finding.rule}")


def _summary(page: Page, report: Report, outline: Outline, verbose: bool) -> None:
    if len(outline.full) > 1:
        first = outline.full[0]
        place = where(first.place)
        page.line(Text(f"Fix first: {first.rule}{f' at {place}' if place else ''}", "bold"))
        page.line(Text(together_line(report)))
    page.line(Text(_counts(report)))
    _reasons(page, report, "not-measured", "not measured")
    _reasons(page, report, "masked", "masked")
    if verbose:
        _reasons(page, report, "not-applicable", "not applicable")
        _passed(page, report)
        _probes(page, report)
    aside = [f for f in outline.known if not f.ignored]
    _labelled(page, "known", [f"{f.rule}: {prose(f.title)}" for f in aside])
    _labelled(page, "ignored", [f"{f.rule}: {prose(f.title)} ({prose(f.ignored)})"
                                for f in outline.known if f.ignored])
    _labelled(page, "note", [prose(note) for note in report.sentences])
    page.parts([Text(part, "dim") for part in run_line(report).split(", ")], ", ")


def _counts(report: Report) -> str:
    names = ("fired", "clear", "not-applicable", "masked", "not-measured")
    counts = [(count_verdicts(report, name), name.replace("-", " ")) for name in names]
    told = ", ".join(f"{count} {name}" for count, name in counts if count)
    return f"{len(report.verdicts)} rules: {told}" if told else "No rule was judged"


def _reasons(page: Page, report: Report, verdict: str, label: str) -> None:
    groups = rules_by_reason(report, verdict)
    _labelled(page, label, [f"{', '.join(rules)}{f': {prose(reason)}' if reason else ''}"
                            for reason, rules in groups])


def _passed(page: Page, report: Report) -> None:
    titles = {rule: summary.title_pass for rule, summary in report.rules.items()}
    clear = sorted(rule for rule, found in report.verdicts.items() if found.verdict == "clear")
    _labelled(page, "clear", [f"{rule}: {prose(titles.get(rule, ''))}".rstrip(": ")
                              for rule in clear])


def _probes(page: Page, report: Report) -> None:
    _labelled(page, "probe", [
        f"{names}: {status}{f', {seconds} s, {steps} steps' if seconds else ''}"
        f"{f' ({reason})' if reason else ''}"
        for names, status, seconds, steps, reason in probe_rows(report)])


def _labelled(page: Page, label: str, lines: Iterable[str]) -> None:
    for position, line in enumerate(lines):
        page.entry(label if position == 0 else "", line, wide=True)
