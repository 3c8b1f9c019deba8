"""Runs that are compared with others, or judged by where they end: they count only when whole."""

from __future__ import annotations

from auditor.probe import OutOfTime, ProbeContext
from auditor.trial import Bench, TrialResult, run


def whole_run(context: ProbeContext, bench: Bench, steps: int) -> TrialResult:
    """Take steps on the stored batches, over and over.

    Raises:
        OutOfTime: The clock has cut the run short.
        TargetError: The user's code failed.
    """
    result = run(bench, context.batches.cycled(steps), deadline=context.deadline)
    context.note.steps += len(result.losses)
    if result.outcome == "out-of-time":
        raise OutOfTime(f"a run of {steps} steps was cut short after {len(result.losses)}")
    return result
