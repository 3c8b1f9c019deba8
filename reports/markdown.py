"""The report as GitHub-flavoured Markdown, for a pull request or a job summary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from auditor.compare import Comparison
from auditor.finding import Finding
from auditor.report import Report

from .album import Album
from .comparison import comparison_markdown
from .gfm import code, folded, inline, summary, table
from .outline import consequences_of, curves_of, outline_of, probe_rows, rules_by_reason
from .paragraphs import finding_paragraphs, fix_code
from .trials import is_dropped
from .wording import (
    big,
    count_verdicts,
    facts,
    plural,
    run_line,
    trial_line,
    verdict_sentence,
    where,
)

_MARKS = {"error": "❌", "warning": "⚠️", "info": "ℹ️"}


@dataclass(frozen=True, slots=True)
class MarkdownRenderer:
    """Writes the report as Markdown, complete in text."""

    name: str = "markdown"
    suffixes: tuple[str, ...] = (".md", ".markdown")
    says: str = "GitHub-flavoured Markdown, with pictures beside a file"

    def render(self, report: Report) -> str:
        """Return the Markdown text without pictures: curves are lines of block characters."""
        return _text(report, Album())

    def render_with_pictures(
        self, report: Report, folder: str,
    ) -> tuple[str, Mapping[str, str]]:
        """Return the text, and the SVG files that it shows from `folder`."""
        album = Album(folder)
        return _text(report, album), album.pictures

    def render_comparison(self, comparison: Comparison) -> str:
        """Return Markdown for a pull request."""
        return comparison_markdown(comparison)


def _text(report: Report, album: Album) -> str:
    outline = outline_of(report)
    blocks = [
        f"### {inline(verdict_sentence(report))}",
        *(f"- {inline(note)}" for note in report.sentences),
        *_first(report), *_overview(report),
        *(_open(report, finding, album) for finding in outline.full),
        *_section("What follows from it", report, outline.explained, album),
        *_section("Worth knowing", report, (*outline.notes, *outline.known), album),
        *_measured(report, album), *_layers(report),
        *_unjudged(report), *_passed(report), *_run(report),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _first(report: Report) -> Iterator[str]:
    """Yield what to mend first: the fault, what it leads to, the change and whether it helped."""
    full = outline_of(report).full
    if not full:
        return
    root = full[0]
    below = ", ".join(code(other.rule) for other in consequences_of(report, root))
    leads = f" It leads to {below}." if below else ""
    place = f" at {code(where(root.place))}" if root.place else ""
    yield f"**Fix first: {code(root.rule)}**{place}. {inline(root.title).rstrip('.')}.{leads}"
    fix = next((fix for fix in root.fixes if not is_dropped(fix)), None)
    if fix:
        tried = trial_line(fix.trial)
        yield f"**Do.** {inline(fix.summary)}{f' Tried: {inline(tried)}.' if tried else ''}"
        yield "\n".join(fix_code(fix))


def _overview(report: Report) -> Iterator[str]:
    outline = outline_of(report)
    rows = [
        [f"{_MARKS[f.severity]} {f.severity}{_set_aside(f)}", code(f.rule),
         inline(f.title), code(where(f.place)), ", ".join(code(cause) for cause in f.causes)]
        for f in (*outline.full, *outline.explained, *outline.notes, *outline.known)
    ]
    if rows:
        yield "\n".join(table(("", "Rule", "Finding", "Where", "Follows from"), rows))


def _set_aside(finding: Finding) -> str:
    return " (ignored)" if finding.ignored else " (known)" if finding.known else ""


def _open(report: Report, finding: Finding, album: Album) -> str:
    head = f"#### {_MARKS[finding.severity]} {code(finding.rule)}: {inline(finding.title)}"
    return "\n\n".join([head, *_paragraphs(report, finding, album)])


def _section(
    title: str, report: Report, findings: tuple[Finding, ...], album: Album,
) -> Iterator[str]:
    if findings:
        yield f"#### {title}"
    for finding in findings:
        body = "\n\n".join(_paragraphs(report, finding, album))
        yield "\n".join(folded(f"<b>{finding.rule}</b> {summary(finding.title)}", [body]))


def _paragraphs(report: Report, finding: Finding, album: Album) -> Iterator[str]:
    for lines in finding_paragraphs(report, finding, album):
        text = "\n".join(lines).strip("\n")
        if text:
            yield text


def _measured(report: Report, album: Album) -> Iterator[str]:
    """Yield the curves that no finding shows, by probe."""
    shown = {series for finding in report.findings for series in curves_of(report, finding)}
    blocks = []
    for seen in report.observations:
        left = [series for series in seen.series if series not in shown]
        curves = "\n".join(album.curves(report, left, _file_name(seen.probe))).strip("\n")
        if curves:
            blocks.append("\n".join(folded(summary(seen.probe.replace("_", " ")), [curves])))
    if blocks:
        yield "#### What was measured"
        yield from blocks


def _file_name(text: str) -> str:
    """Return letters, digits and dashes for the name of a file."""
    return "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in text)


def _layers(report: Report) -> Iterator[str]:
    hit: dict[str, list[str]] = {}
    for finding in report.findings:
        for path in finding.layers:
            hit.setdefault(path, []).append(f"{_MARKS[finding.severity]} {code(finding.rule)}")
    rows = [[code(layer.path), inline(layer.kind),
             big(layer.parameters) if layer.parameters else "", code(where(layer.place)),
             ", ".join(hit.get(layer.path, ()))] for layer in report.layers]
    if rows:
        title = f"{plural(len(rows), 'layer')} in call order"
        head = ("Layer", "Kind", "Parameters", "Where", "Findings")
        yield "#### The model"
        yield "\n".join(folded(title, table(head, rows)))


def _unjudged(report: Report) -> Iterator[str]:
    rows = [[", ".join(code(rule) for rule in rules), verdict.replace("-", " "), inline(reason)]
            for verdict in ("not-measured", "masked")
            for reason, rules in rules_by_reason(report, verdict)]
    if rows:
        yield "#### Not judged"
        yield "\n".join(table(("Rule", "Verdict", "Reason"), rows))


def _passed(report: Report) -> Iterator[str]:
    titles = {rule: inline(told.title_pass) for rule, told in report.rules.items()}
    rows = [[code(rule), "clear", titles.get(rule, "")]
            for rule, found in sorted(report.verdicts.items()) if found.verdict == "clear"]
    rows += [[code(rule), "not applicable", inline(reason)]
             for reason, rules in rules_by_reason(report, "not-applicable") for rule in rules]
    if rows:
        clear = plural(count_verdicts(report, "clear"), "rule") + " clear"
        beside = count_verdicts(report, "not-applicable")
        title = f"{clear}, {beside} not applicable" if beside else clear
        yield "\n".join(folded(title, table(("Rule", "Verdict", "Result"), rows)))


def _run(report: Report) -> Iterator[str]:
    told = [[inline(name), code(value)] for name, value in facts(report)]
    probes = [[code(names), status, seconds, steps, inline(reason)]
              for names, status, seconds, steps, reason in probe_rows(report)]
    body = [*table(("", "Value"), told), "",
            *table(("Probe", "Status", "Seconds", "Steps", "Reason"), probes)]
    yield inline(run_line(report))
    yield "\n".join(folded("Environment and probes", body))
