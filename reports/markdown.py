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
from .leads import summary_of
from .modelmap import map_of
from .outline import groups_of, outline_of, probe_rows, rules_by_reason
from .paragraphs import finding_paragraphs
from .topics import topics_of
from .wording import (
    count_verdicts,
    facts,
    plural,
    run_line,
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
        *_first(report), *_notes(report), *_overview(report),
        *(block for root, below in groups_of(report)
          for block in _group(report, root, below, album)),
        *_asides(report, (*outline.notes, *outline.known), album),
        *_measured(report, album), *_model(report),
        *_unjudged(report), *_passed(report), *_run(report),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _first(report: Report) -> Iterator[str]:
    """Yield the root causes in a sentence each, what to do about them, and whether it helped."""
    told = summary_of(report)
    for position, lead in enumerate(told.leads):
        place = f" at {code(lead.place)}" if lead.place else ""
        leads = f" It leads to {inline(lead.leads)}." if lead.leads else ""
        yield (f"**{'Then' if position else 'Fix first'}: {code(lead.rule)}**{place}. "
               f"{inline(_sentence(lead.title))}{leads}")
        if lead.action:
            was_tried = "" if lead.outcome == "untried" else "**Tried.** "
            yield (f"**Do.** {inline(_sentence(lead.action))} "
                   f"{was_tried}{inline(_sentence(lead.tried))}")
    ends = [_sentence(text) for text in (told.rest, told.together) if text]
    yield inline(" ".join(ends))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _notes(report: Report) -> Iterator[str]:
    yield "\n".join(f"- {inline(note)}" for note in report.sentences)


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


def _group(
    report: Report, root: Finding, below: list[Finding], album: Album,
) -> Iterator[str]:
    yield f"#### {_MARKS[root.severity]} {code(root.rule)}: {inline(root.title)}"
    yield from _paragraphs(report, root, album)
    if below:
        yield f"**What follows from {code(root.rule)}:**"
    for finding in below:
        yield _folded(report, finding, album)


def _asides(report: Report, findings: tuple[Finding, ...], album: Album) -> Iterator[str]:
    if findings:
        yield "#### Worth knowing"
    for finding in findings:
        yield _folded(report, finding, album)


def _folded(report: Report, finding: Finding, album: Album) -> str:
    body = "\n\n".join(_paragraphs(report, finding, album))
    title = f"<b>{finding.rule}</b> {summary(finding.title)}"
    return "\n".join(folded(title, [body]))


def _paragraphs(report: Report, finding: Finding, album: Album) -> Iterator[str]:
    for lines in finding_paragraphs(report, finding, album):
        text = "\n".join(lines).strip("\n")
        if text:
            yield text


def _measured(report: Report, album: Album) -> Iterator[str]:
    """Yield what was measured, topic by topic."""
    topics = topics_of(report)
    if topics:
        yield "#### What was measured"
    for topic in topics:
        body = [f"{inline(sentence)}\n" for sentence in topic.says]
        body += album.shown(topic.pictures, f"measured-{topic.ident}")
        for part in topic.tables:
            body += ["", *table(part.head, [[inline(cell) for cell in row] for row in part.rows])]
        yield "\n".join(folded(summary(topic.title), ["\n".join(body).strip("\n")]))


def _model(report: Report) -> Iterator[str]:
    found = map_of(report)
    rows = [[code(row.path), inline(row.kind), row.parameters, *row.values, code(row.place),
             ", ".join(f"{_MARKS[hit.severity]} {code(hit.rule)}" for hit in row.findings)]
            for row in found.rows]
    if rows:
        title = f"{plural(len(rows), 'layer')} in call order"
        head = ("Layer", "Kind", "Parameters", *found.heads, "Where", "Findings")
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
