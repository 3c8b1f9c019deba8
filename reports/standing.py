"""What services have to know of a finding: whether it counts, and its file as they see it."""

from __future__ import annotations

import re
from pathlib import PurePath

from auditor.finding import Finding
from auditor.observation import Place
from auditor.report import Report

from .wording import prose

_IN_CODE = re.compile(r"[^:]*\.py:\d")


def standing(finding: Finding) -> str:
    """Return why a finding does not count ("ignored: model.py:9"); empty when it counts."""
    if finding.ignored:
        return f"ignored: {prose(finding.ignored)}"
    return "known from the baseline" if finding.known else ""


def in_comment(finding: Finding) -> bool:
    """Tell whether a comment in the user's code ignores it, not the configuration."""
    return bool(_IN_CODE.match(finding.ignored))


def file_in_repository(report: Report, place: Place) -> PurePath:
    """Return the file of a place as seen from the root of the repository."""
    folder = report.environment.get("folder")
    return PurePath(prose(folder) if isinstance(folder, str) else "", prose(place.file))
