"""Whether the end of a run would be lower with a decay of the rate than at the rate as it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from auditor.probe import ProbeContext
from auditor.trial import Bench

from ._evaluate import Evaluation, evaluate, excess

DECAY = ("decay_gain", "decay_gain_z")
_STEPS = 32
# Two short runs and their evaluations, in training steps.
_COST = 4 * _STEPS
# A run that still falls, or has nothing left to gain, is not asked.
_FALLS, _LEARNED = 0.05, 0.03


def note_decay(
    context: ProbeContext, bench: Bench, stream: Callable[[int], Iterable[Any]],
    seen: Sequence[Any], before: Evaluation, *, fall: float, level: float, left: float,
) -> None:
    """Go on from the end of a run in two ways, and measure by how much the decay ends lower.

    Lower than the run was before, and than it is after as many steps at the constant rate.

    Args:
        context: Of the probe.
        bench: At the end of the run, where it is put back afterwards.
        stream: Gives so many batches to train on, the same each time.
        seen: Training batches that judge.
        before: What they give at that end.
        fall: Of the training loss in the last third, as a share of the way.
        level: Training loss at the end; 1 is the uninformed loss, 0 the floor.
        left: Training loss at the end above the floor, in units of the loss.
    """
    note = context.note
    if context.target.make_scheduler is not None:
        note.absent("a schedule is set", *DECAY)
        return
    if fall >= _FALLS or level <= _LEARNED:
        note.absent("the run still falls, or has learned all there is", *DECAY)
        return
    if context.step_seconds * _COST > context.seconds_left():
        note.missed("there was no time left for trials of a decay", *DECAY)
        return
    end = bench.snapshot()
    found = []
    for share in (lambda _: 1.0, _cosine):
        _go_on(context, bench, stream(_STEPS), share)
        found.append(evaluate(bench, seen, context.seed))
        bench.restore(end)
    constant, decayed = found
    # Of the two, so that a constant rate which just swings up is no reason.
    gain, z = min(excess(before, decayed), excess(constant, decayed))
    if not math.isfinite(gain):
        note.absent("the run diverges", *DECAY)
        return
    note.measure("decay_gain", gain / left)
    note.measure("decay_gain_z", z)


def _cosine(step: int) -> float:
    return 0.5 * (1 + math.cos(math.pi * (step + 1) / (_STEPS + 1)))


def _go_on(
    context: ProbeContext, bench: Bench, stream: Iterable[Any], share: Callable[[int], float],
) -> None:
    """Take steps at shares of the user's rate."""
    rates = list(bench.base_lrs)
    for step, batch in enumerate(stream):
        bench.base_lrs = [rate * share(step) for rate in rates]
        context.note.steps += 1
        if not math.isfinite(bench.step(batch)):
            break
    bench.base_lrs = rates
