"""The report as SARIF 2.1.0, for code scanning on GitHub and for editors.

Its schema is wide; what GitHub shows of it is narrower: every rule has its descriptions and help,
every region all four of its numbers, every result the one fingerprint that GitHub compares. A
finding whose line is not known has no physical location: line 1 would be an invention.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import PurePath
from urllib.parse import quote

from auditor.finding import Finding, Fix
from auditor.observation import Json, Place
from auditor.report import Report, RuleSummary

from .gfm import code, fence, inline
from .standing import file_in_repository, in_comment, standing
from .wording import code_lines, prose, target_name, trial_line

_SCHEMA = ("https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/"
           "sarif-schema-2.1.0.json")
_LEVELS = {"error": "error", "warning": "warning", "info": "note"}
_PROBLEMS = {"error": "error", "warning": "warning", "info": "recommendation"}
# GitHub's limit of the two descriptions.
_LONGEST = 1024


@dataclass(frozen=True, slots=True)
class SarifRenderer:
    """Writes one run with a rule for every verdict and a result for every finding."""

    name: str = "sarif"
    suffixes: tuple[str, ...] = (".sarif", ".sarif.json")
    says: str = "SARIF 2.1.0, for code scanning"

    def render(self, report: Report) -> str:
        """Return the JSON text."""
        log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [_run(report)]}
        return json.dumps(log, indent=2, allow_nan=False) + "\n"


def _run(report: Report) -> dict[str, Json]:
    ids = sorted({*report.rules, *(finding.rule for finding in report.findings)})
    by_rule = {finding.rule: finding for finding in reversed(report.findings)}
    driver: dict[str, Json] = {
        "name": "auditor",
        "rules": [_rule(name, report.rules.get(name), by_rule.get(name)) for name in ids],
    }
    if report.version:
        driver["version"] = prose(report.version)
    results: list[Json] = [_result(report, finding, ids.index(finding.rule))
                           for finding in report.findings]
    return {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"auditor/{target_name(report)}/"},
        "columnKind": "unicodeCodePoints",
        "invocations": [_invocation(report, ids)],
        "results": results,
    }


def _rule(name: str, told: RuleSummary | None, finding: Finding | None) -> dict[str, Json]:
    severity = told.severity if told else finding.severity if finding else "warning"
    category = told.category if told else finding.category if finding else ""
    words = name.replace("-", " ")
    passes = f"What must hold: {prose(told.title_pass)}." if told and told.title_pass else ""
    return {
        "id": name,
        "shortDescription": {"text": (words[:1].upper() + words[1:])[:_LONGEST]},
        "fullDescription": {"text": (passes or words)[:_LONGEST]},
        "help": _help(name, passes, finding),
        "defaultConfiguration": {"level": _LEVELS[severity]},
        "properties": {
            "tags": [tag for tag in ("training", category) if tag],
            "precision": _precision(finding),
            "problem.severity": _PROBLEMS[severity],
        },
    }


def _precision(finding: Finding | None) -> str:
    return finding.confidence if finding else "high"


def _help(name: str, passes: str, finding: Finding | None) -> dict[str, Json]:
    more = f"audit explain {name}"
    why = prose(finding.why) if finding else ""
    fixes = finding.fixes if finding else ()
    text = [part for part in (passes, why, *(f"Fix: {prose(fix.summary)}" for fix in fixes),
                              f"More: {more}") if part]
    marked = [inline(part) for part in (passes, why) if part]
    for fix in fixes:
        marked += _fix(fix)
    return {"text": "\n".join(text), "markdown": "\n\n".join([*marked, f"More: {code(more)}"])}


def _fix(fix: Fix) -> list[str]:
    parts = [f"**Fix.** {inline(fix.summary)}"]
    lines = code_lines(fix.code)
    if lines:
        parts.append("\n".join(fence(lines, "python")))
    if fix.safety:
        parts.append(f"**Careful.** {inline(fix.safety)}")
    tried = trial_line(fix.trial)
    if tried:
        parts.append(f"**Tried.** {inline(tried)}")
    return parts


def _result(report: Report, finding: Finding, index: int) -> dict[str, Json]:
    title = prose(finding.title).rstrip(".")
    result: dict[str, Json] = {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{title}. {prose(finding.message)}".strip()},
        "partialFingerprints": {
            "primaryLocationLineHash": f"{_line_hash(finding)}:1",
            "auditor/v1": finding.fingerprint,
        },
        "properties": {"confidence": finding.confidence, "layers": _layers(finding),
                       "causes": list(finding.causes)},
    }
    location = _location(report, finding)
    if location:
        result["locations"] = [location]
    if not finding.is_open:
        result["baselineState"] = "unchanged"
        result["suppressions"] = [{
            "kind": "inSource" if in_comment(finding) else "external", "status": "accepted",
            "justification": standing(finding),
        }]
    return result


def _layers(finding: Finding) -> list[Json]:
    return [prose(layer) for layer in finding.layers]


def _line_hash(finding: Finding) -> str:
    """Return what stays when lines above are added: the rule and the text of its line."""
    line = finding.place.code.strip() if finding.place else ""
    text = "\0".join((finding.rule, line) if line else (finding.rule, *finding.layers))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _location(report: Report, finding: Finding) -> dict[str, Json]:
    location: dict[str, Json] = {}
    if finding.place:
        location["physicalLocation"] = {
            "artifactLocation": {"uri": _address(file_in_repository(report, finding.place))},
            "region": _region(finding.place),
        }
    if finding.layers:
        location["logicalLocations"] = [{"fullyQualifiedName": layer, "kind": "member"}
                                        for layer in _layers(finding)]
    return location


def _address(path: PurePath) -> str:
    """Return a path as a relative reference with slashes, an absolute one as a file address."""
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())


def _region(place: Place) -> dict[str, Json]:
    """Return the lines and columns, 1-based, the end exclusive."""
    region: dict[str, Json] = {"startLine": place.line}
    line = place.code.rstrip()
    if line:
        indent = len(line) - len(line.lstrip())
        is_exact = place.column > 0 and place.end_column > 0 and place.end_line > 0
        region |= {
            "startColumn": place.column if is_exact else indent + 1,
            "endLine": place.end_line if is_exact else place.line,
            "endColumn": place.end_column if is_exact else len(line) + 1,
            "snippet": {"text": prose(line)},
        }
    return region


def _invocation(report: Report, ids: list[str]) -> dict[str, Json]:
    missed: list[Json] = [
        {"level": "warning", "message": {"text": f"Not measured: {prose(found.reason)}"},
         "associatedRule": {"id": rule, "index": ids.index(rule)}}
        for rule, found in sorted(report.verdicts.items())
        if found.verdict == "not-measured" and rule in ids
    ]
    ended_early = report.environment.get("interrupted") or report.environment.get("stopped")
    return {"executionSuccessful": not ended_early, "toolExecutionNotifications": missed}
