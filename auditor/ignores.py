"""Findings that the user has decided to live with, by configuration or by a comment."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from auditor.errors import nearest
from auditor.observation import Place
from auditor.report import Report

_COMMENT = re.compile(r"#\s*audit:\s*ignore\b(?:\[(?P<names>[^\]]*)\])?[\s:,-]*(?P<reason>[^#]*)")


@dataclass(frozen=True, slots=True)
class Ignore:
    """One decision.

    Attributes:
        rule: Id or category of the rule.
        where: `file:line` of the decision.
        reason: Why; a comment may lack it.
        layers: Pattern of the layers, parameters or features; empty for all.
        file: Of the line that a comment stands on; empty for one of the configuration.
        line: 1-based; 0 for one of the configuration.
    """

    rule: str
    where: str
    reason: str = ""
    layers: str = ""
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}" if self.reason else self.where

    def covers(self, names: Collection[str], subject: str, places: Iterable[Place | None]) -> bool:
        """Tell whether it speaks of a rule at a subject.

        Args:
            names: Id and category of the rule.
            subject: Layer, parameter or feature; empty for the run.
            places: The lines that make what the rule is about.
        """
        if self.rule not in names:
            return False
        if self.line:
            return any(place and _stands_on(place, self.file, self.line) for place in places)
        return not self.layers or fnmatchcase(subject, self.layers)


def comments(report: Report, known: Collection[str]) -> tuple[tuple[Ignore, ...], tuple[str, ...]]:
    """Return the decisions in the source files of a report's places, and what is wrong with some.

    Args:
        report: Its places name the files and their lines.
        known: Rules and categories that exist; if empty, every name is believed.
    """
    found: list[Ignore] = []
    problems: list[str] = []
    for file, places in _places_by_file(report).items():
        text = _text(Path(file))
        if "audit:" not in text:
            continue
        if not _is_as_it_was(text, places):
            problems.append(f"{file} has changed since it was audited: its `# audit: ignore` "
                            "comments were not read.")
            continue
        for line, comment in _comments(text):
            for name in _names(comment):
                problem = _problem(name, known)
                where = f"{file}:{line}"
                if problem:
                    problems.append(f"{where}: {problem}")
                else:
                    found.append(Ignore(name, where, comment["reason"].strip(), "", file, line))
    return tuple(found), tuple(problems)


def unused_notes(ignores: Iterable[Ignore], used: Collection[Ignore], report: Report) -> list[str]:
    """Return a sentence for every decision that matched nothing, although its rule was judged."""
    return [
        f"{ignore.where}: nothing was found that this ignores "
        f"({ignore.rule}{f' in {ignore.layers}' if ignore.layers else ''})."
        for ignore in ignores if ignore not in used and _was_judged(ignore, report)
    ]


def _was_judged(ignore: Ignore, report: Report) -> bool:
    """Tell whether the rule was looked at: what was not measured may be found another time."""
    return any(
        found.verdict in ("fired", "clear", "not-applicable")
        for rule, found in report.verdicts.items()
        if ignore.rule in (rule, report.rules[rule].category)
    )


def _stands_on(place: Place, file: str, line: int) -> bool:
    return place.file == file and place.line <= line <= max(place.line, place.end_line)


def _places_by_file(report: Report) -> dict[str, list[Place]]:
    roles = report.target.get("places")
    raw = roles.values() if isinstance(roles, dict) else ()
    places = [Place.from_json(place) for place in raw if isinstance(place, dict)]
    places += [row.place for row in report.layers if row.place]
    places += [place for seen in report.observations for place in seen.places.values()]
    found: dict[str, list[Place]] = {}
    for place in places:
        found.setdefault(place.file, []).append(place)
    return found


def _text(file: Path) -> str:
    """Return the text of a source file; empty when it is not there any more."""
    try:
        with tokenize.open(file) as opened:
            return opened.read()
    except (OSError, SyntaxError, UnicodeDecodeError):
        return ""


def _is_as_it_was(text: str, places: Iterable[Place]) -> bool:
    lines = text.splitlines()
    return all(place.line <= len(lines) and lines[place.line - 1].rstrip() == place.code.rstrip()
               for place in places if place.code)


def _comments(text: str) -> Iterator[tuple[int, re.Match[str]]]:
    """Yield line and match of every comment that speaks to us; what is in a string is not one."""
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            found = token.type == tokenize.COMMENT and _COMMENT.search(token.string)
            if found:
                yield token.start[0], found
    except (tokenize.TokenError, SyntaxError):
        # The file ran, so this is a notebook's magic or the like; what came before counts.
        return


def _names(comment: re.Match[str]) -> list[str]:
    """Return the names in the brackets; one empty name if there is none."""
    return [name.strip() for name in (comment["names"] or "").split(",")]


def _problem(name: str, known: Collection[str]) -> str:
    if not name:
        return ("`# audit: ignore` names no rule, so it ignores nothing; write "
                "`# audit: ignore[rule-id] -- reason`.")
    if known and name not in known:
        return f"nothing is ignored, for there is no rule '{name}'{nearest(name, known)}"
    return ""
