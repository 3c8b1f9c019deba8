"""Findings that were there before: they are shown, and do not fail.

A baseline names rules and layers, no numbers and no lines, so that a model that is measured again,
or moved in its file, keeps its findings.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from auditor.document import read_limited
from auditor.errors import ConfigError
from auditor.finding import SEVERITIES, Finding, Severity
from auditor.jsonfile import read_json
from auditor.judge import overall
from auditor.observation import Json, listed
from auditor.report import Report
from auditor.typed import misfit

_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Known:
    """One finding of the baseline."""

    rule: str
    severity: Severity
    layers: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.rule} of {', '.join(self.layers)}" if self.layers else self.rule

    def to_json(self) -> dict[str, Json]:
        """Return the entry as a JSON object."""
        return {"rule": self.rule, "severity": self.severity, "layers": list(self.layers)}


def read_baseline(path: Path) -> tuple[Known, ...]:
    """Return the findings of a baseline file.

    Raises:
        ConfigError: It cannot be read, or is no baseline.
    """
    hint = "Make one with --write-baseline."
    try:
        raw = read_limited(path)
    except OSError as problem:
        raise ConfigError(f"{path} cannot be read: {problem.strerror}.", hint=hint) from problem
    data: Any = read_json(raw, str(path), ConfigError, hint=hint)
    try:
        if not isinstance(data, dict):
            raise TypeError("it is no object")
        if data["schema"] != _SCHEMA:
            raise ConfigError(f"{path} has schema {str(data['schema'])[:20]!r}; this version reads "
                              f"schema {_SCHEMA}.", hint=hint)
        if not isinstance(data["known"], list):
            raise TypeError("known is no list")
        return tuple(_known(item) for item in data["known"])
    except KeyError as problem:
        raise ConfigError(f"{path} is no baseline: it has no {problem}.", hint=hint) from problem
    except (ValueError, TypeError) as problem:
        raise ConfigError(f"{path} is no baseline: {problem}.", hint=hint) from problem


def baseline_text(report: Report, earlier: Iterable[Known] = ()) -> str:
    """Return a baseline with every finding of a report that is not ignored.

    Args:
        report: What is found now.
        earlier: The baseline before; rules that were not judged now are kept as they stand there.
    """
    found = [Known(finding.rule, finding.severity, finding.layers)
             for finding in report.findings if not finding.ignored]
    found += [item for item in earlier if not _was_judged(report, item.rule)]
    entries = [item.to_json() for item in
               sorted(dict.fromkeys(found), key=lambda item: (item.rule, item.layers))]
    return json.dumps({"schema": _SCHEMA, "known": entries}, indent=2) + "\n"


def with_baseline(report: Report, known: Iterable[Known], name: str) -> Report:
    """Return the report with its known findings marked, and a note on what is not found any more.

    A finding is known if the baseline has its rule, no less severe, at all of its layers.
    """
    by_rule: dict[str, list[Known]] = {}
    for item in known:
        by_rule.setdefault(item.rule, []).append(item)
    findings = tuple(
        replace(finding, known=not finding.ignored and _is_known(finding, by_rule))
        for finding in report.findings)
    notes = [f"{item} stands in {name} and is not found any more; --write-baseline drops it."
             for items in by_rule.values() for item in items
             if _was_judged(report, item.rule) and not _is_there(item, report)]
    marked = replace(report, findings=findings, remarks=(*report.remarks, *notes))
    return replace(marked, verdict=overall(marked))


def _is_known(finding: Finding, by_rule: Mapping[str, list[Known]]) -> bool:
    rank = SEVERITIES.index(finding.severity)
    severe = [item for item in by_rule.get(finding.rule, ())
              if SEVERITIES.index(item.severity) <= rank]
    layers = {layer for item in severe for layer in item.layers}
    if not finding.layers:
        return any(not item.layers for item in severe)
    return set(finding.layers) <= layers


def _is_there(item: Known, report: Report) -> bool:
    return any(
        finding.rule == item.rule and (not item.layers or bool(set(item.layers) &
                                                               set(finding.layers)))
        for finding in report.findings)


def _was_judged(report: Report, rule: str) -> bool:
    found = report.verdicts.get(rule)
    return found is not None and found.verdict in ("fired", "clear", "not-applicable")


def _known(raw: Any) -> Known:
    severity = raw["severity"]
    if severity not in SEVERITIES:
        raise ValueError(f"{severity!r} is no severity")
    found = Known(raw["rule"], severity, listed(raw, "layers"))
    wrong = misfit(found, Known)
    if wrong:
        raise TypeError(wrong.removeprefix("."))
    return found
