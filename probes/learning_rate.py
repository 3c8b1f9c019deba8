"""Is the learning rate right? A range test, a race, and a closer look where they disagree."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean
from typing import ClassVar

from auditor.isolation import seeded
from auditor.observation import Series
from auditor.probe import Cost, OutOfTime, ProbeContext
from auditor.usercode import user_code

from ._race import Race, race
from ._rate_quantities import COMPARISON, DECAY, ENDING, LEARNING_RATE
from ._subset import subset
from ._sweep import POINTS, Sweep, sweep
from ._track import EVALUATED, Run, Track
from ._trials import Comparison, compare, ending, progress_of_an_epoch, speedup, warm_up

# Length of a run, points of the sweep, and what all of it takes with the closer look, in steps.
_LENGTHS = ((60, POINTS, 650), (30, POINTS, 350), (15, 24, 130), (8, 16, 80))
_LONG = (120, POINTS, 1250)
# Cheap steps: the longer runs then cost less than two seconds.
_CHEAP_SECONDS = 0.002
_MINIMUM = 80
# The closer look is taken when the user's run ends this far behind and the rates differ this much.
_BEHIND = 0.15
_APART = 2.0
_FAR_APART = 5.0
# Learned less than this part of the uninformed loss: ask whether anything can be memorised.
_HARDLY = 0.02
_MEMORISING_STEPS = 60
# Learned less than this part: who leads a race that has only begun is chance.
_BARELY = 0.25
_LONGER = 3
# Shorter trials see the first jolts of a run and not what it learns.
_SHORTEST = 30
_TOO_SHORT = "there was time for trials of {} steps only, too short to compare rates"
# Runs of fine-tuning and of small data sets go on for many epochs.
_LEAST_EPOCH = 2000
_PRETRAINED_EPOCH = 10_000


class LearningRate:
    """Sweeps the rate, races the best ones against the user's, compares the two on more seeds."""

    name: ClassVar[str] = "learning_rate"
    says: ClassVar[str] = "sweeps the learning rate and races the best ones against yours"
    cost: ClassVar[Cost] = Cost(steps=650, minimum_steps=_MINIMUM, trains=True, long=True)
    yields = LEARNING_RATE
    after: ClassVar[tuple[str, ...]] = ()

    def run(self, context: ProbeContext) -> None:
        """Measure the user's rate against the best one.

        Raises:
            OutOfTime: Not even a coarse sweep fits.
        """
        with seeded(context.seed):
            _Look(context).take()


@dataclass
class _Look:
    """One pass through the whole experiment."""

    context: ProbeContext

    def take(self) -> None:
        steps, points = _lengths(self.context)
        track = Track(self.context, steps + EVALUATED)
        if not all(map(math.isfinite, track.before)):
            self.context.note.missed(
                "the loss is not finite before the first step", *(q.name for q in LEARNING_RATE))
            return
        swept = sweep(track, points)
        self.context.note.series(swept.series())
        raced = race(track, swept, steps)
        if self._is_too_short(track, raced, steps):
            steps *= _LONGER
            track = Track(self.context, steps + EVALUATED)
            raced = race(track, swept, steps)
        if any(run.outcome == "out-of-time" for run in raced.finalists):
            raise OutOfTime("the race between the rates could not be finished")
        self._note_rates(track, swept, raced)
        self._note_descent(track, swept, raced, steps)
        self._note_comparison(track, raced, steps)
        self._note_ending(track, raced.user)
        for run, name in ((raced.user, "lr_trial_user"), (raced.best, "lr_trial_suggested")):
            self.context.note.series(_curve(name, f"learning rate {run.lr:.2g}", run))
        for run in raced.finalists:
            self.context.note.series(_curve("lr_race", f"{run.lr:.2g}", run))

    def _is_too_short(self, track: Track, raced: Race, steps: int) -> bool:
        """Tell whether the best rate has only begun to learn, and a longer race fits."""
        needed = _LONGER * next(need for length, _, need in (_LONG, *_LENGTHS) if length == steps)
        begun = _HARDLY < track.share_learned(raced.best) < _BARELY
        return begun and self.context.affordable_steps(needed) == needed

    def _note_rates(self, track: Track, swept: Sweep, raced: Race) -> None:
        note = self.context.note
        low, high = swept.stable()
        flat_low, flat_high = raced.flat
        note.measure("user_lr", track.user_lr)
        note.measure("suggested_lr", raced.best.lr)
        note.measure("lr_ratio", track.user_lr / raced.best.lr if raced.best.lr else math.inf)
        note.measure("flat_lr_low", flat_low)
        note.measure("flat_lr_high", flat_high)
        note.measure("stable_lr_low", min(low, flat_low))
        note.measure("stable_lr_high", max(min(high, raced.highest_standing), flat_high))
        note.measure("lr_trial_steps", max(len(run.losses) for run in raced.finalists))
        note.measure("warms_up", track.bench.schedule.warms_up)

    def _note_descent(self, track: Track, swept: Sweep, raced: Race, steps: int) -> None:
        """Measure whether any rate at all beats the best constant prediction."""
        note = self.context.note
        learned = track.share_learned(raced.best)
        if not learned > _HARDLY:
            learned = max(learned, self._memorised(swept, raced))
        if learned > _HARDLY or steps >= _SHORTEST:
            note.measure("best_descent", learned)
        else:
            note.missed(_TOO_SHORT.format(steps), "best_descent")
        note.measure("sweep_improves", swept.improves())
        note.measure("sweep_descent", swept.descent, spread=swept.noise)

    def _memorised(self, swept: Sweep, raced: Race) -> float:
        """Return what the best of three rates learns of a tiny subset, as a share."""
        only = subset(self.context.batches.train(1))
        track = Track(self.context, 1, only=only)
        rates = {raced.best.lr, raced.user.lr, swept.rates[swept.best] / 4}
        runs = [track.go(lr, _MEMORISING_STEPS) for lr in sorted(rates) if lr > 0]
        return max(map(track.share_learned, runs))

    def _note_comparison(self, track: Track, raced: Race, steps: int) -> None:
        note, user, best = self.context.note, raced.user, raced.best
        if steps < _SHORTEST:
            note.missed(_TOO_SHORT.format(steps), *COMPARISON)
            return
        found = Comparison([], [], [], [], [])
        found.add(track, user, best)
        ratio = user.lr / best.lr if best.lr else math.inf
        behind = found.gaps[0] > _BEHIND or found.blown[0]
        closer = behind and not 1 / _APART < ratio < _APART
        epoch, progress = self._epoch_steps(), 1.0
        if closer and ratio > 1:
            warm_up(track, best, steps, found)
        elif closer and ratio < 1 / _FAR_APART:
            progress = progress_of_an_epoch(track, best, steps, epoch)
        if closer:
            compare(self.context, best.lr, steps, found)
        unfinished = math.isnan(progress) or (ratio > 1 and not found.warm_gaps)
        if closer and (unfinished or len(found.gaps) < 2):
            note.missed("the time ended before the rates were compared on further seeds",
                        *COMPARISON)
            return
        note.measure("epoch_steps", epoch)
        note.measure("epoch_progress", progress)
        note.measure("lr_speedup", speedup(user, best))
        note.measure("initial_trial_loss", fmean(track.before))
        self._note_gaps(found)

    def _note_gaps(self, found: Comparison) -> None:
        note, gap = self.context.note, fmean(found.gaps)
        note.measure("lr_gap", gap, samples=len(found.gaps))
        note.measure("lr_gap_least", min(found.gaps), samples=len(found.gaps))
        note.measure("lr_gap_warm", fmean(found.warm_gaps) if found.warm_gaps else gap)
        note.measure("warmup_tried", bool(found.warm_gaps))
        note.measure("warmup_diverges", any(found.warm_blown))
        note.measure("lr_gap_p", found.test.p, samples=found.test.pairs)
        note.measure("lr_trials", len(found.gaps))
        note.measure("blown_up_share", sum(found.blown) / len(found.blown))
        note.measure("user_loss_after", fmean(user for user, _ in found.pairs))
        note.measure("suggested_loss_after", fmean(best for _, best in found.pairs))

    def _note_ending(self, track: Track, user: Run) -> None:
        note = self.context.note
        if user.outcome == "diverged" or user.state is None or not math.isfinite(user.loss):
            note.absent("the trial at the user's rate diverged", *ENDING, *DECAY)
            return
        scheduled = self.context.target.make_scheduler is not None
        last = ending(track, user, decays=not scheduled)
        if not last.learned:
            note.absent("there is nothing to learn in these batches", *ENDING, *DECAY)
            return
        for name, value in zip(ENDING, (last.swing, last.reversals, last.to_batch_noise),
                               strict=True):
            note.measure(name, value)
        if scheduled:
            note.absent("a schedule is set", *DECAY)
            return
        if not last.decay.pairs:
            note.missed("the trials with and without a decay were not finished", *DECAY)
            return
        note.measure("decay_gain", last.decay.mean / last.learned)
        note.measure("decay_gain_p", last.decay.p, samples=last.decay.pairs)

    def _epoch_steps(self) -> int:
        """Return the steps of an epoch, at least as many as a small training run has."""
        target = self.context.target
        least = _PRETRAINED_EPOCH if "from_pretrained" in target.traits else _LEAST_EPOCH
        with user_code("making the training loader"):
            loader = target.make_train_loader()
        try:
            return max(len(loader), least)  # type: ignore[arg-type]
        except TypeError:
            return least


def _lengths(context: ProbeContext) -> tuple[int, int]:
    """Return the steps of a run and the points of the sweep that fit into the time.

    Raises:
        OutOfTime: The shortest ones do not fit.
    """
    affordable = context.affordable_steps(10**6, minimum=_MINIMUM)
    cheap = 0 < context.step_seconds <= _CHEAP_SECONDS
    for steps, points, need in (_LONG, *_LENGTHS) if cheap else _LENGTHS:
        if affordable >= need:
            return steps, points
    raise OutOfTime(f"{_MINIMUM} training steps do not fit")


def _curve(name: str, label: str, run: Run) -> Series:
    return Series(name, label, tuple(map(float, range(len(run.losses)))), tuple(run.losses),
                  "step", "loss")
