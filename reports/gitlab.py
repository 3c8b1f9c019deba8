"""The findings as a GitLab code quality report."""

from __future__ import annotations

import json
from dataclasses import dataclass

from auditor.finding import Finding, Severity
from auditor.observation import Json, Place
from auditor.report import Report

from .standing import file_in_repository
from .wording import prose

_SEVERITIES: dict[Severity, str] = {"error": "critical", "warning": "major", "info": "info"}
# GitLab demands a line; a finding about the run stands at the line that makes one of these.
_ROLES = ("model", "optimizer", "loader", "loss")


@dataclass(frozen=True, slots=True)
class GitlabRenderer:
    """Writes one entry a finding that counts and whose line, or whose target's, is known."""

    name: str = "gitlab"
    suffixes: tuple[str, ...] = (".gitlab.json", "gl-code-quality-report.json", ".codequality.json")
    says: str = "code quality report for GitLab"

    def render(self, report: Report) -> str:
        """Return the JSON text."""
        fallback = _line_of_target(report)
        entries = [_entry(report, finding, place) for finding in report.findings
                   if finding.is_open and (place := finding.place or fallback)]
        return json.dumps(entries, indent=2, allow_nan=False) + "\n"


def _entry(report: Report, finding: Finding, place: Place) -> dict[str, Json]:
    return {
        "description": f"{prose(finding.title)}. {prose(finding.message)}",
        "check_name": finding.rule,
        "fingerprint": finding.fingerprint,
        "severity": _SEVERITIES[finding.severity],
        "location": {"path": file_in_repository(report, place).as_posix(),
                     "lines": {"begin": place.line}},
    }


def _line_of_target(report: Report) -> Place | None:
    places = report.target.get("places")
    if not isinstance(places, dict):
        return None
    return next((Place.from_json(raw) for role in _ROLES
                 if isinstance(raw := places.get(role), dict)), None)
