"""The report as GitHub-flavoured Markdown, for a pull request or a job summary."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from auditor.compare import Comparison
from auditor.finding import Finding, Fix
from auditor.report import Report

from .codeframe import frame_of
from .comparison import comparison_markdown
from .gfm import code, fence, folded, inline, summary, table
from .outline import consequences_of, curves_of, outline_of, probe_rows, rules_by_reason
from .sparkline import sparkline
from .standing import standing
from .trials import is_dropped, joint_line, trial_curves
from .wording import (
    code_lines,
    count_verdicts,
    evidence_name,
    evidence_value,
    facts,
    is_address,
    plural,
    prose,
    run_line,
    subjects,
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
    says: str = "GitHub-flavoured Markdown, for a pull request or a job summary"

    def render(self, report: Report) -> str:
        """Return the Markdown text."""
        blocks = [
            f"### {inline(verdict_sentence(report))}",
            *_fix_first(report), *_overview(report),
            *("\n".join(_finding(report, finding)) for finding in _in_order(report)),
            *_unjudged(report), *_passed(report), *_run(report),
        ]
        return "\n\n".join(block for block in blocks if block) + "\n"

    def render_comparison(self, comparison: Comparison) -> str:
        """Return Markdown for a pull request."""
        return comparison_markdown(comparison)


def _in_order(report: Report) -> tuple[Finding, ...]:
    outline = outline_of(report)
    return (*outline.full, *outline.explained, *outline.notes, *outline.known)


def _fix_first(report: Report) -> Iterator[str]:
    full = outline_of(report).full
    if len(full) + len(outline_of(report).explained) > 1:
        below = ", ".join(code(other.rule) for other in consequences_of(report, full[0]))
        leads = f" It leads to {below}." if below else ""
        yield f"**Fix first: {code(full[0].rule)}.** {inline(full[0].title).rstrip('.')}.{leads}"


def _overview(report: Report) -> Iterator[str]:
    rows = [
        [f"{_MARKS[f.severity]} {f.severity}{_set_aside(f)}", code(f.rule),
         inline(f.title), code(where(f.place)), ", ".join(code(cause) for cause in f.causes)]
        for f in _in_order(report)
    ]
    if rows:
        yield "\n".join(table(("", "Rule", "Finding", "Where", "Follows from"), rows))


def _set_aside(finding: Finding) -> str:
    return " (ignored)" if finding.ignored else " (known)" if finding.known else ""


def _finding(report: Report, finding: Finding) -> list[str]:
    body: list[str] = []
    for part in _parts(report, finding):
        body += ["", *part] if body else part
    return folded(f"<b>{finding.rule}</b> {summary(finding.title)}", body)


def _parts(report: Report, finding: Finding) -> Iterator[list[str]]:
    place = [code(where(finding.place)), subjects(report, finding, quote=code),
             f"{finding.confidence} confidence", inline(standing(finding))]
    yield [" · ".join(part for part in place if part)]
    frame = frame_of(finding.place)
    if frame:
        yield fence([frame.code, *([frame.carets] if frame.carets else [])], "python")
    yield from _said("Seen", finding.message)
    if finding.evidence:
        yield table(("Measured", "Value"), [
            [inline(evidence_name(item, quote=_ticked)), inline(evidence_value(item))]
            for item in finding.evidence])
    curves = [line for line in map(sparkline, curves_of(report, finding)) if line]
    if curves:
        yield fence(curves, "text")
    yield from _said("Why", finding.why)
    for position, fix in enumerate(finding.fixes):
        label = "Or" if position else "Fix"
        yield from _fix("Tried and dropped" if is_dropped(fix) else label, fix)
        if position == 0:
            yield from _said("Among all fixes", joint_line(report, finding.rule))
    below = consequences_of(report, finding)
    if below:
        told = (f"{code(other.rule)} ({inline(other.title)})" for other in below)
        yield [f"**Leads to.** {', '.join(told)}"]
    yield [" ".join([f"More: `audit explain {finding.rule}`.",
                     *(f"{_reference(text)}." for text in finding.references)])]


def _ticked(name: str) -> str:
    # A backtick inside would end the span early: `inline` takes care of such a name as a word.
    return prose(name) if "`" in name else f"`{prose(name)}`"


def _said(label: str, text: str) -> Iterator[list[str]]:
    if text:
        yield [f"**{label}.** {inline(text[0].upper() + text[1:])}"]


def _fix(label: str, fix: Fix) -> Iterator[list[str]]:
    yield from _said(label, fix.summary)
    lines = code_lines(fix.code)
    if lines:
        is_diff = any(line.startswith(("+", "-")) for line in lines)
        yield fence(lines, "diff" if is_diff else "python")
    yield from _said("Careful", fix.safety)
    yield from _said("Tried", trial_line(fix.trial))
    curves = [line for line in map(sparkline, trial_curves(fix)) if line]
    if curves:
        yield fence(curves, "text")


def _reference(text: str) -> str:
    """Return a reference of a rule pack, its addresses as links."""
    words = prose(text).split(" ")
    return " ".join(f"<{word}>" if is_address(word) else inline(word) for word in words)


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
    yield "\n".join(f"- {inline(note)}" for note in report.sentences)
    yield inline(run_line(report))
    yield "\n".join(folded("Environment and probes", body))
