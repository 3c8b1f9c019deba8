"""Whether a run passes: the exit code, and the sentence that says why it does not."""

from __future__ import annotations

from auditor.effective import Effective
from auditor.report import Report

PASSED, FAILED, STOPPED, INTERRUPTED = 0, 1, 3, 130


def exit_code(report: Report, settings: Effective) -> int:
    """Return what the process ends with."""
    if report.environment.get("interrupted"):
        return INTERRUPTED
    if report.environment.get("stopped") and not _finds_too_much(report, settings):
        return STOPPED
    return FAILED if _finds_too_much(report, settings) or _lacks(report, settings) else PASSED


def said(report: Report, settings: Effective) -> str:
    """Return why a run fails although no finding does; empty otherwise."""
    if _lacks(report, settings) and not _finds_too_much(report, settings):
        return (f"failed: --strict, and {len(report.missed)} of {len(report.verdicts)} checks "
                f"could not be made: {', '.join(report.missed)}")
    return ""


def _finds_too_much(report: Report, settings: Effective) -> bool:
    return settings.fail_on != "never" and report.reaches(settings.fail_on)


def _lacks(report: Report, settings: Effective) -> bool:
    return settings.strict and bool(report.missed)
