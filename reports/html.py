"""The report as one HTML page: no network, no script needed, a strict content policy."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from markupsafe import Markup

from auditor.report import Report

from .cards import Card, Figure, card_of, drawn
from .leads import summary_of
from .modelmap import ModelMap, map_of
from .outline import groups_of, outline_of, probe_rows, rules_by_reason
from .pictures import Table
from .topics import Topic, topics_of
from .wording import (
    count_verdicts,
    facts,
    plural,
    prose,
    run_line,
    seconds,
    verdict_sentence,
)

if TYPE_CHECKING:
    from jinja2 import Template

_VERDICT_KINDS = {"fail": "error", "warn": "warning", "incomplete": "warning", "pass": "pass"}
# Beside the colour of a cell, for those who cannot tell it.
_MARKS = {"error": "✕", "warning": "!", "info": "i"}


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
class _Group:
    """A root cause, and what follows from it alone or first."""

    card: Card
    below: list[Card]


@dataclass(frozen=True, slots=True)
class _Part:
    """A topic with its pictures drawn."""

    ident: str
    title: str
    says: tuple[str, ...]
    figures: list[Figure]
    tables: tuple[Table, ...]


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
    groups, model = list(_groups(report, names)), map_of(report)
    topics = [_part(topic, next(names)) for topic in topics_of(report)]
    return {
        **_files(),
        "verdict": verdict_sentence(report),
        "verdict_kind": _VERDICT_KINDS[report.verdict],
        "run_line": run_line(report),
        "summary": summary_of(report),
        "parts": _parts(bool(groups), topics, bool(model.rows)),
        "notes": [prose(note) for note in report.sentences],
        "groups": groups,
        "asides": [card_of(report, finding, next(names)) for finding in asides],
        "unjudged": _unjudged(report),
        "passed_title": _passed_title(report),
        "passed": _passed(report),
        "topics": topics,
        "model": model,
        "model_says": _model_says(model),
        "marks": _MARKS,
        "layers_title": f"{plural(len(report.layers), 'layer')} in call order",
        "probes": probe_rows(report),
        "probes_title": f"{plural(len(report.probes), 'probe')}, {seconds(report):.1f} s",
        "facts": facts(report),
    }


def _groups(report: Report, names: Iterator[str]) -> Iterator[_Group]:
    for root, below in groups_of(report):
        yield _Group(card_of(report, root, next(names)),
                     [card_of(report, found, next(names)) for found in below])


def _part(topic: Topic, ident: str) -> _Part:
    return _Part(topic.ident, topic.title, topic.says, drawn(topic.pictures, ident), topic.tables)


def _parts(has_findings: bool, topics: list[_Part], has_model: bool) -> list[tuple[str, str]]:
    """Return where the page can be entered, and the words for it."""
    found = [("findings", "What to mend")] if has_findings else []
    found += [(topic.ident, topic.title) for topic in topics]
    return found + ([("model", "The model")] if has_model else []) + [
        ("rules", "The rules"), ("run", "The run")]


def _model_says(model: ModelMap) -> str:
    hit = sum(bool(row.findings) for row in model.rows)
    return (f"{hit} of {plural(len(model.rows), 'layer')} {'is' if hit == 1 else 'are'} named by "
            "a finding." if hit else f"No finding names any of {plural(len(model.rows), 'layer')}.")


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
