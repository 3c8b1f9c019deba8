"""Has an audit measured: from the cache, in a worker, or in this process. No torch in here."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from auditor import cache
from auditor.errors import AuditorError
from auditor.journal import Record
from auditor.judge import judge
from auditor.opened import Opened, listening
from auditor.progress import ProgressLine
from auditor.relay import Relay
from auditor.report import Report
from auditor.request import Request
from auditor.resume import Kept
from auditor.salvage import salvaged
from auditor.supervisor import Ending, can_supervise, supervise

_FAULT_OF_OURS = 4
_GOES_ON = "The same command with --resume goes on from here."


@dataclass(frozen=True)
class Measured:
    """What came of an audit.

    Attributes:
        report: Whole, or of what had been measured when it ended early.
        problem: A fault of ours that ended it early; raise it when the report is delivered.
    """

    report: Report
    problem: AuditorError | None = None


def measured(
    asked: Request, options: Mapping[str, Any] | None, *, quiet: bool, resume: bool = False,
) -> Measured:
    """Return the report of an audit, or that of an earlier one if nothing has changed since.

    Args:
        asked: What is audited.
        options: From which `asked` was made; None measures in this process.
        quiet: Tell no progress.
        resume: Go on with what an audit had measured that ended early.

    Raises:
        AuditorError: The target cannot be audited.
    """
    reuse = asked.effective.cache
    again = cache.find(asked) if reuse else None
    if again is not None:
        return Measured(_told_again(again, asked))
    kept, begin = Kept(asked), time.monotonic()
    known, note = kept.read() if resume else ({}, "")
    if not known:
        kept.begin()
    with ProgressLine(quiet=quiet) as line:
        record = Record(known, show=line, keep=kept.keep)
        if options is not None and can_supervise():
            ending = supervise(asked, options, record, Relay(line))
        else:
            ending = _here(asked, record)
    found = _found(record, asked, ending, time.monotonic() - begin)
    if not _is_whole(found.report):
        return _noted(found, note, _GOES_ON if kept.is_there else "")
    kept.end()
    if reuse:
        cache.keep(asked, found.report, Opened(record.opened, elsewhere=record.elsewhere))
    return _noted(found, note)


def _is_whole(report: Report) -> bool:
    return not (report.environment.get("interrupted") or report.environment.get("stopped"))


def _noted(found: Measured, *notes: str) -> Measured:
    report = found.report
    return replace(found, report=replace(report, notes=(*report.notes, *filter(None, notes))))


def _told_again(found: Report, asked: Request) -> Report:
    note = ("Nothing has changed since an earlier run, whose measurements are shown again. "
            "--no-cache measures anew.")
    rules = [rule for rule in asked.rules if rule.id in found.verdicts]
    return judge(replace(found, notes=(*found.notes, note)), rules, asked.limits)


def _here(asked: Request, record: Record) -> Ending:
    """Measure in this process."""
    with listening() as opened:
        record.opened = opened.paths
        try:
            record.report = asked.measure(journal=record)
        except KeyboardInterrupt:
            return Ending("it was interrupted", interrupted=True)
    record.elsewhere = opened.elsewhere
    return Ending()


def _found(record: Record, asked: Request, ending: Ending, seconds: float) -> Measured:
    """Return the report, else that of what had been measured.

    Raises:
        AuditorError: The target cannot be audited.
    """
    if record.report is not None:
        return Measured(record.report)
    problem = record.problem
    if problem is None:
        return Measured(salvaged(record, asked, ending.why, seconds=seconds,
                                 interrupted=ending.interrupted))
    if problem.exit_code == _FAULT_OF_OURS and any(record.observations.values()):
        return Measured(salvaged(record, asked, problem.message, seconds=seconds), problem)
    raise problem
