"""The report as one HTML page: no network, no script needed, a strict content policy."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from markupsafe import Markup

from auditor.finding import Finding
from auditor.report import Report

from .cards import Card, Figure, card_of, figures_of
from .outline import curves_of, outline_of, probe_rows, rules_by_reason
from .wording import (
    big,
    count_verdicts,
    facts,
    plural,
    prose,
    run_line,
    verdict_sentence,
    where,
)

if TYPE_CHECKING:
    from jinja2 import Template

_VERDICT_KINDS = {"fail": "error", "warn": "warning", "incomplete": "warning", "pass": "pass"}


@dataclass(frozen=True, slots=True)
class HtmlRenderer:
    """Writes one page that can be opened, mailed, archived and printed."""

    name: str = "html"
    suffixes: tuple[str, ...] = (".html", ".htm")
    says: str = "one page with charts, readable without network and script"

    def render(self, report: Report) -> str:
        """Return the page."""
        return _template().render(_content(report))


@dataclass(frozen=True, slots=True)
class _Measured:
    """The charts of one probe that no finding shows."""

    name: str
    figures: list[Figure]


@dataclass(frozen=True, slots=True)
class _LayerRow:
    """One row of the model map."""

    path: str
    kind: str
    parameters: str
    place: str
    findings: list[Finding]


def _template() -> Template:
    # Imported here: it takes longer than the rest of the command line's start.
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.from_string(_resource("report.html.j2"))


def _content(report: Report) -> Mapping[str, object]:
    outline, names = outline_of(report), _names()
    asides = (*outline.notes, *outline.known)
    full = [card_of(report, finding, next(names)) for finding in outline.full]
    return {
        **_files(),
        "verdict": verdict_sentence(report),
        "verdict_kind": _VERDICT_KINDS[report.verdict],
        "run_line": run_line(report),
        "first": _first(full),
        "notes": [prose(note) for note in report.sentences],
        "full": full,
        "explained": [card_of(report, finding, next(names)) for finding in outline.explained],
        "asides": [card_of(report, finding, next(names)) for finding in asides],
        "unjudged": _unjudged(report),
        "passed_title": _passed_title(report),
        "passed": _passed(report),
        "measured": list(_measured(report, names)),
        "layers_title": f"{plural(len(report.layers), 'layer')} in call order",
        "layers": _layers(report),
        "probes": probe_rows(report),
        "facts": facts(report),
    }


def _files() -> Mapping[str, object]:
    style, script = _resource("report.css"), _resource("report.js")
    # Both come from this package, never from a report, so they are no user strings.
    return {"style": Markup(style), "style_hash": _hash(style),
            "script": Markup(script), "script_hash": _hash(script)}


def _resource(name: str) -> str:
    return files("auditor.reports").joinpath("templates", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _names() -> Iterator[str]:
    """Yield ids for the groups of charts, the same ones on every run."""
    position = 0
    while True:
        position += 1
        yield f"chart{position}"


def _first(full: list[Card]) -> Card | None:
    return full[0] if len(full) > 1 else None


def _unjudged(report: Report) -> list[list[str]]:
    return [[", ".join(rules), verdict.replace("-", " "), prose(reason)]
            for verdict in ("not-measured", "masked")
            for reason, rules in rules_by_reason(report, verdict)]


def _passed_title(report: Report) -> str:
    clear = f"{plural(count_verdicts(report, 'clear'), 'rule')} clear"
    beside = count_verdicts(report, "not-applicable")
    return f"{clear}, {beside} not applicable" if beside else clear


def _passed(report: Report) -> list[list[str]]:
    titles = {rule: prose(told.title_pass) for rule, told in report.rules.items()}
    rows = [[rule, "clear", titles.get(rule, "")] for rule, found in sorted(report.verdicts.items())
            if found.verdict == "clear"]
    return rows + [[rule, "not applicable", prose(reason)]
                   for reason, rules in rules_by_reason(report, "not-applicable")
                   for rule in rules]


def _measured(report: Report, names: Iterator[str]) -> Iterator[_Measured]:
    shown = {series for finding in report.findings for series in curves_of(report, finding)}
    for seen in report.observations:
        left = [series for series in seen.series if series not in shown]
        figures = figures_of(report, left, (), next(names))
        if figures:
            yield _Measured(prose(seen.probe), figures)


def _layers(report: Report) -> list[_LayerRow]:
    return [
        _LayerRow(prose(layer.path), prose(layer.kind),
                  big(layer.parameters) if layer.parameters else "", where(layer.place),
                  [finding for finding in report.findings if layer.path in finding.layers])
        for layer in report.layers
    ]
