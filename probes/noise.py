"""How much the loss scatters by itself: over batches, over passes, over seeds, after short runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import ClassVar

from auditor.isolation import seeded
from auditor.observation import Quantity
from auditor.probe import Cost, ProbeContext

from ._track import Track

_SEEDS = 3
_STEPS = 10
_PASSES = 3
# A run of one seed, with its evaluations; one alone has no spread.
_RUN = _STEPS + 5
_FEWEST = 2 * _RUN


class Noise:
    """Repeats the same thing under other random numbers."""

    name: ClassVar[str] = "noise"
    says: ClassVar[str] = "measures how much the loss scatters by itself"
    # No minimum is kept for it: where steps are slow the trials need the time more.
    cost: ClassVar[Cost] = Cost(steps=_SEEDS * _RUN, trains=True, long=True)
    yields: ClassVar[tuple[Quantity, ...]] = (
        Quantity("loss_batch_noise", "loss", "spread from batch to batch at the first weights"),
        Quantity("loss_pass_noise", "loss",
                 "spread of one batch's loss over passes at the same weights (dropout, sampling)"),
        Quantity("loss_seed_noise", "loss", "spread of the first loss over initialisations"),
        Quantity("trial_seed_noise", "loss",
                 "spread over seeds of the loss after ten steps at the user's rate"),
        Quantity("trial_loss", "loss", "mean loss after these ten steps"),
    )
    after: ClassVar[tuple[str, ...]] = ()

    def run(self, context: ProbeContext) -> None:
        """Measure the spreads.

        Raises:
            OutOfTime: Not even two short runs fit.
        """
        seeds = context.affordable_steps(_SEEDS * _RUN, minimum=_FEWEST) // _RUN
        with seeded(context.seed):
            losses = [self._losses(context, number) for number in range(seeds)]
        self._note_seeds(context, losses)

    def _losses(self, context: ProbeContext, number: int) -> tuple[float, float]:
        """Return the mean loss at the start and after some steps, under one seed."""
        track = Track(context, _STEPS, number=number)
        if number == 0:
            self._note_fixed_weights(context, track)
        return fmean(track.before), track.go(track.user_lr, _STEPS).loss

    def _note_fixed_weights(self, context: ProbeContext, track: Track) -> None:
        note = context.note
        passes = [track.loss_of(track.judges[0], context.seed + i) for i in range(_PASSES)]
        note.measure("loss_pass_noise", _deviation(passes), samples=_PASSES)
        if len(track.before) < 2:
            note.missed("a single batch was seen", "loss_batch_noise")
            return
        note.measure("loss_batch_noise", _deviation(track.before), samples=len(track.before))

    def _note_seeds(
        self, context: ProbeContext, losses: Sequence[tuple[float, float]],
    ) -> None:
        note = context.note
        starts, ends = zip(*losses, strict=True)
        note.measure("trial_loss", fmean(ends), samples=len(ends))
        note.measure("loss_seed_noise", _deviation(starts), samples=len(starts))
        note.measure("trial_seed_noise", _deviation(ends), samples=len(ends))


def _deviation(values: Sequence[float]) -> float:
    """Return the standard deviation; infinite when a run diverged."""
    if not all(map(math.isfinite, values)):
        return math.inf
    mean = fmean(values)
    return math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1))
