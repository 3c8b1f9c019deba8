"""The run of the fit probe itself: its steps, and its evaluations on the way."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from auditor import batches, task
from auditor.errors import TargetError
from auditor.probe import NotApplicable, ProbeContext
from auditor.trial import Bench

from ._evaluate import Evaluation, evaluate

EVALUATIONS = 10
# Batches of one evaluation, at most.
MOST_BATCHES = 64
# The trial is over when the training loss is this small part of what it was.
_LEARNED = 0.002
_STALE = 3
# Or when nearly all is learned, validation is close to it, and the samples have come often enough
# to be known by heart. Of 333 runs 120 stood so on their way; after 400 steps all of these were
# apart by less than 0.07, where overfitting begins at 0.11.
_NEARLY, _CLOSE, _OFTEN, _LONG_ENOUGH = 0.1, 0.04, 3, 120
# Not where the rates' trial swung by this share: what it comes to at its end is of interest.
_SWINGS = 0.08
# A run of less than these many epochs cannot show overfitting however long it is.
_ONCE = 2
# A loss so far below the first one is rounding.
_SOLVED = 1e-9
# Or when it has learned nothing, and the trials of the rates have said why: so little is learned
# at any rate, or so much less at the user's than at a best one that is so many times lower.
_NOTHING, _AT_ANY_RATE, _BEHIND, _ABOVE = 0.95, 0.06, 0.4, 2.0


@dataclass
class FitRun:
    """The evaluations of one run, in order."""

    steps: list[int] = field(default_factory=list)
    train: list[Evaluation] = field(default_factory=list)
    val: list[Evaluation] = field(default_factory=list)

    @property
    def best(self) -> int:
        """Position of the evaluation with the smallest validation loss."""
        losses = [e.loss for e in self.val]
        return losses.index(min(losses))

    @property
    def uninformed(self) -> float | None:
        """The uninformed loss of the last evaluation's main calls, where it is known.

        Where all samples have one answer, as in a contrast that puts the right candidate first,
        it says nothing of what there is to learn.
        """
        calls = self.train[-1].calls
        known = task.uninformed_loss(calls) if calls else None
        started = [value for value in self.train[0].values if value is not None]
        solved = known is not None and started and abs(known) < _SOLVED * abs(fmean(started))
        return None if solved else known

    @property
    def scale(self) -> tuple[float, float]:
        """The loss of the uninformed answer (the first loss where unknown) and its floor."""
        calls, unit = self.train[-1].calls, self.train[0].unit
        known = self.uninformed
        floors = [task.loss_floor(call) for call in calls]
        floor = sum(f for f in floors if f is not None) / len(floors) if floors and all(
            f is not None for f in floors) else 0.0
        floor *= unit
        top = known * unit if known is not None else self.train[0].loss
        # A floor that is not known and losses below zero leave only the fall itself as a scale.
        return (top, floor) if top > floor else (floor + max(abs(top - floor), 1e-12), floor)

    @property
    def level(self) -> float:
        """The training loss at the last evaluation; 1 is the uninformed loss, 0 the floor."""
        top, floor = self.scale
        return (self.train[-1].loss - floor) / (top - floor)

    @property
    def late_fall(self) -> float:
        """How far the training loss fell in the last third, as a share of the way."""
        top, floor = self.scale
        earlier = self.train[max(len(self.train) * 2 // 3 - 1, 0)]
        return (earlier.loss - self.train[-1].loss) / (top - floor)


def trained(
    context: ProbeContext, bench: Bench, steps: int, seen: Sequence[Any], held: Sequence[Any],
) -> tuple[FitRun, int]:
    """Return the evaluations on the way, and the steps of an epoch."""
    run = FitRun()
    epoch = len(context.batches.train(steps))
    marks = {round(steps * k / EVALUATIONS) for k in range(EVALUATIONS + 1)} | {
        min(epoch, steps)}
    for step, batch in enumerate(epochs(context, steps, epoch)):
        if step in marks:
            _evaluated(context, bench, run, step, seen, held)
            if not _is_worth_going_on(context, run, epoch, steps):
                return run, epoch
        if context.seconds_left() < 0 and run.steps:
            break
        if not math.isfinite(bench.step(batch)):
            break
        context.note.steps += 1
    _evaluated(context, bench, run, bench.steps, seen, held)
    return run, epoch


def epochs(context: ProbeContext, steps: int, epoch: int) -> Iterator[Any]:
    """Yield private batches; every epoch reads the loader anew, as training does."""
    fewest = min(batches.length(context.batches.train(1)[0]), 2)
    done = number = 0
    while done < steps:
        left = min(epoch, steps - done)
        read = (context.batches.train(left) if not number
                else context.batches.another_epoch(left, number))
        before = done
        for batch in read:
            done += 1
            # Batch normalisation takes no last batch of one sample; that is another finding.
            if batches.length(batch) >= fewest:
                yield batches.private(batch)
        done, number = max(done, before + 1), number + 1


def _evaluated(
    context: ProbeContext, bench: Bench, run: FitRun, step: int, seen: Sequence[Any],
    held: Sequence[Any],
) -> None:
    try:
        if run.train:
            # What the model put out is only needed of the last evaluation.
            run.train[-1].calls.clear()
        run.train.append(evaluate(bench, seen, context.seed, keep=True))
        if held:
            run.val.append(evaluate(bench, held, context.seed))
    except TargetError as problem:
        if run.steps:
            raise
        raise NotApplicable(
            f"the training step cannot be evaluated: {problem.message}") from problem
    run.steps.append(step)


def _is_worth_going_on(context: ProbeContext, run: FitRun, epoch: int, steps: int) -> bool:
    loss = run.train[-1].loss
    if not math.isfinite(loss):
        return False
    stale = not run.val or len(run.val) - 1 - run.best >= _STALE
    if stale and abs(loss) < _LEARNED * abs(run.train[0].loss):
        return False
    if run.steps[-1] < _LONG_ENOUGH:
        return True
    return not (_is_settled(context, run, epoch, steps) or _is_hopeless(context, run))


def _is_settled(context: ProbeContext, run: FitRun, epoch: int, steps: int) -> bool:
    """Tell whether the rest of the run would only confirm that all is well."""
    if context.number("loss_swing") > _SWINGS:
        return False
    often = run.steps[-1] >= _OFTEN * epoch or steps < _ONCE * epoch
    if not often or run.level >= _NEARLY:
        return False
    top, floor = run.scale
    apart = _CLOSE * (top - floor)
    return not run.val or (
        abs(run.val[-1].loss - run.train[-1].loss) < apart
        and run.val[-1].loss - run.val[run.best].loss < apart / 4)


def _is_hopeless(context: ProbeContext, run: FitRun) -> bool:
    """Tell whether the rest of the run would only repeat what the learning rate's trials said.

    These are read where they were made; the run is as long as ever where they were not.
    """
    behind = context.number("lr_gap_least") > _BEHIND and context.number("lr_ratio") >= _ABOVE
    return run.level >= _NOTHING and (behind or context.number("best_descent") < _AT_ANY_RATE)


def some(read: Sequence[Any], samples: int, most: int = MOST_BATCHES) -> list[Any]:
    """Return batches spread evenly over those read, of about so many samples."""
    read = [batch for batch in read if batches.length(batch) > 1] or list(read)
    if not read:
        return []
    count = max(1, min(len(read), most, -(-samples // max(batches.length(read[0]), 1))))
    return [read[i * len(read) // count] for i in range(count)]
