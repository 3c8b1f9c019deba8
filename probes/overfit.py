"""Can the model learn a tiny subset by heart? A working set-up always can."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, ClassVar

from auditor import batches
from auditor.isolation import seeded
from auditor.losscall import LossCalls
from auditor.modes import has_dropout
from auditor.observation import Quantity, Series
from auditor.probe import Cost, NotApplicable, ProbeContext
from auditor.recorder import watching
from auditor.trial import Bench, Changes

from ._memory import LEARNED, Marks, Try, attempt, marks_of
from ._subset import subset

_STEPS = 80
_LONGER = 160
_MINIMUM = 40
_SEEN = 4
# An irreducible loss cannot be learned to its end: a clear fall is all that is asked for.
_CLEAR_FALL = 0.25
# A try that gains this much of the way in its last third is on its way, not at its end.
_STILL_LEARNING = 0.04

_CUT = f"the time was up before a try had taken {_MINIMUM} steps"
_CAUSES = ("passes_without_dropout", "passes_without_decay")


class Overfit:
    """Trains on a handful of samples until they are known by heart."""

    name: ClassVar[str] = "overfit"
    says: ClassVar[str] = "lets the model learn a handful of samples by heart"
    cost: ClassVar[Cost] = Cost(steps=100, minimum_steps=_MINIMUM, trains=True, long=True, usual=20)
    yields: ClassVar[tuple[Quantity, ...]] = (
        Quantity("subset_size", "samples", "samples in the subset"),
        Quantity("majority_share", "share", "accuracy of the best constant answer on the subset"),
        Quantity("floor_known", "", "the loss can reach a floor that is known", kind="flag"),
        Quantity("overfit_progress", "share",
                 "how far the subset was learned, from the best constant answer to the floor"),
        Quantity("overfit_progress_user", "share", "the same at the user's own rate"),
        Quantity("subset_accuracy", "share", "accuracy or R2 on the subset at the end"),
        Quantity("overfit_steps", "steps", "steps of the longest try"),
        Quantity("overfit_start", "loss", "loss of the subset before"),
        Quantity("overfit_loss", "loss", "lowest loss of the subset at any step"),
        Quantity("overfit_lr", "", "the rate of the last try"),
        Quantity("passes_without_dropout", "", "it is learned once dropout is off", kind="flag"),
        Quantity("passes_without_decay", "", "it is learned once weight decay is off",
                 kind="flag"),
    )
    after: ClassVar[tuple[str, ...]] = ("learning_rate",)

    def run(self, context: ProbeContext) -> None:
        """Measure how far a tiny subset can be memorised.

        Raises:
            NotApplicable: All targets of the subset are the same.
            OutOfTime: Too little time.
        """
        steps = context.affordable_steps(_STEPS, minimum=_MINIMUM)
        only = _chosen(context)
        marks = marks_of(context, only)
        context.note.measure("subset_size", batches.length(only))
        context.note.measure("majority_share", marks.majority)
        if not math.isfinite(marks.start):
            context.note.missed("the loss of the subset is not finite before the first step",
                                *(quantity.name for quantity in self.yields[2:]))
            return
        if marks.floor is not None and marks.reference - marks.floor <= 0:
            raise NotApplicable("all targets of the subset are the same")
        _Attempts(context, only, marks, steps).take()


class _Attempts:
    """The tries, from the user's own set-up to one without its brakes."""

    def __init__(self, context: ProbeContext, only: Any, marks: Marks, steps: int) -> None:
        self._context, self._only, self._marks = context, only, marks
        self._steps = steps
        self._enough = LEARNED if marks.floor is not None else _CLEAR_FALL

    def take(self) -> None:
        """Make the tries, each only when the one before has failed."""
        user = self._try(Changes(), min(_STEPS, self._steps))
        tries, rate = [user], self._suggested()
        changes = Changes() if rate is None else Changes(lr=rate)
        if not self._passed(user):
            tries.append(self._try(changes, _LONGER))
        if not self._passed(tries[-1]):
            tries += self._without_brakes(changes)
        else:
            self._context.note.absent("the subset is learned as it is", *_CAUSES)
        self._note(user, tries, rate if len(tries) > 1 and rate is not None else self._user_lr())

    def _without_brakes(self, changes: Changes) -> list[Try]:
        """Try without dropout and without decay, where there is any; return the first try."""
        note, found = self._context.note, []
        with seeded(self._context.seed):
            bench = Bench(self._context.target)
            drops = has_dropout(bench.model)
            decays = any(group.get("weight_decay") for group in bench.optimizer.param_groups)
        # Let go of before the tries make their own.
        del bench
        if drops:
            found.append(self._try(replace(changes, dropout=0.0), _STEPS))
        undecayed = [self._try(replace(changes, weight_decay=0.0), _STEPS)] if decays else []
        for name, tries in zip(_CAUSES, (found, undecayed), strict=True):
            if any(map(self._is_open, tries)):
                note.missed(_CUT, name)
            else:
                note.measure(name, any(map(self._passed, tries)))
        return found

    def _suggested(self) -> float | None:
        value = self._context.observed("suggested_lr")
        known = isinstance(value, (int, float)) and math.isfinite(value) and value > 0
        return float(value) if known and value is not None else None

    def _lacks_a_rate(self) -> bool:
        """Tell whether a better rate was looked for in vain: then the rate may be the fault."""
        seen = self._context.earlier.get("learning_rate")
        return seen is not None and seen.status == "failed" and self._suggested() is None

    def _try(self, changes: Changes, steps: int) -> Try:
        return attempt(self._context, self._only, self._marks, steps, changes, self._enough)

    def _passed(self, found: Try) -> bool:
        return found.progress >= self._enough

    def _is_open(self, found: Try) -> bool:
        """Tell whether a try was cut short before it could show anything."""
        return found.is_cut and not self._passed(found) and len(found.losses) < _MINIMUM

    def _note(self, user: Try, tries: list[Try], lr: float) -> None:
        note = self._context.note
        best = max(tries, key=lambda found: found.progress)
        note.measure("floor_known", self._marks.floor is not None)
        if not self._passed(best) and any(
            found.late_fall(self._marks) > _STILL_LEARNING for found in tries
        ):
            note.missed(f"the loss of the subset was still falling when the tries ended, after "
                        f"{len(best.losses)} steps", "overfit_progress")
        elif not self._passed(best) and any(map(self._is_open, tries)):
            note.missed(_CUT, "overfit_progress")
        elif not self._passed(best) and self._lacks_a_rate():
            note.missed("it was not learned at your rate, and no other one was found to try",
                        "overfit_progress")
        else:
            note.measure("overfit_progress", best.progress)
        note.measure("overfit_progress_user", user.progress)
        note.measure("overfit_steps", max(len(found.losses) for found in tries))
        note.measure("overfit_start", self._marks.start)
        note.measure("overfit_loss", min((loss for loss in best.losses), default=math.nan))
        note.measure("overfit_lr", lr)
        if math.isnan(best.score):
            note.absent("neither accuracy nor R2 is defined for this loss", "subset_accuracy")
        else:
            note.measure("subset_accuracy", best.score)
        for label, found in zip(("as it is", "suggested rate", "without dropout"), tries,
                                strict=False):
            note.series(Series("overfit_loss", label, _numbers(range(len(found.losses))),
                               tuple(found.losses), "step", "loss"))
            if found.scores:
                note.series(Series("overfit_score", label,
                                   _numbers(step for step, _ in found.scores),
                                   _numbers(score for _, score in found.scores), "step", "score"))

    def _user_lr(self) -> float:
        with seeded(self._context.seed):
            return Bench(self._context.target).lr


def _numbers(values: Any) -> tuple[float, ...]:
    return tuple(map(float, values))


def _chosen(context: ProbeContext) -> Any:
    """Return the subset, small enough for the positions that each sample holds."""
    stored = context.batches.train(_SEEN)
    listener = LossCalls()
    with seeded(context.seed):
        bench = Bench(context.target)
        with watching(bench.model, listener):
            bench.loss(batches.private(stored[0]))
    return subset(stored, listener.calls)
