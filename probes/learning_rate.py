"""Is the learning rate right? A range test, a race, and a closer look where they disagree."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import ClassVar

from auditor.isolation import seeded
from auditor.observation import Series
from auditor.probe import Cost, OutOfTime, ProbeContext
from auditor.usercode import user_code

from ._by_heart import ALL_BY_HEART, BY_HEART, HARDLY_ANY, ByHeart, by_heart
from ._closer_look import CloserLook, closer_look, decide, look_by_heart
from ._duel import duel
from ._race import BARELY, Race, race
from ._rate_plan import ENOUGH, MINIMUM, STANDARD, Plan, Purse, plan_for, refitted
from ._rate_quantities import COMPARISON, ENDING, LEARNING_RATE, WARM_UP
from ._sweep import LOOKS, Sweep, sweep
from ._track import EVALUATED, Run, Track
from ._trials import LOOK, Comparison, ending, speedup

# So many are tried at least, whatever has used up the steps.
_MEMORISING_RATES = 2
# Shorter trials see the first jolts of a run and not what it learns.
_SHORTEST = 30
_TOO_SHORT = "there was time for trials of {} steps only, too short to see what is learned"
_NOT_KNOWN = ("little was learned, and there was no time to see whether a handful of samples is "
              "learned by heart, or they all have one answer")
_DUEL = ("The time sufficed to compare the learning rate with one other, not to look for the best "
         "one.")
_OVERRULED = ("No rate got below the best constant answer in a short trial; the rates are compared "
              "by what they learn of a handful of samples by heart.")
# Runs of fine-tuning and of small data sets go on for many epochs.
_LEAST_EPOCH = 2000
_PRETRAINED_EPOCH = 10_000


class LearningRate:
    """Sweeps the rate, races the best ones against the user's, compares the two on more seeds.

    Args:
        steps: Training steps of everything together, at most; see `_rate_plan`. Where no rate
            learns, two runs on a tiny subset come on top of them.
    """

    name: ClassVar[str] = "learning_rate"
    says: ClassVar[str] = "sweeps the learning rate and races the best ones against yours"
    cost: ClassVar[Cost] = Cost(
        steps=STANDARD, minimum_steps=MINIMUM, trains=True, long=True, usual=STANDARD // 2,
        enough=ENOUGH)
    yields = LEARNING_RATE
    after: ClassVar[tuple[str, ...]] = ("layers", "noise")

    def __init__(self, steps: int = STANDARD) -> None:
        self._steps = steps

    def run(self, context: ProbeContext) -> None:
        """Measure the user's rate against the best one.

        Raises:
            OutOfTime: Not even a coarse sweep fits.
        """
        with seeded(context.seed):
            _Look(context, plan_for(context, self._steps), self._steps).take()


@dataclass
class _Look:
    """One pass through the whole experiment."""

    context: ProbeContext
    plan: Plan
    most: int

    def take(self) -> None:
        note = self.context.note
        track = Track(self.context, self.plan.long + EVALUATED)
        if not all(map(math.isfinite, track.before)):
            note.missed(
                "the loss is not finite before the first step", *(q.name for q in LEARNING_RATE))
            return
        begin, seconds = note.steps, time.monotonic()
        swept = sweep(track, self.plan.points)
        note.series(swept.series())
        self.plan = refitted(self.plan, self.context, note.steps - begin + LOOKS,
                             time.monotonic() - seconds)
        purse = Purse(self.context, self.plan.total, self.most, begin)
        if self.plan.duels:
            note.note(_DUEL)
        compete = duel if self.plan.duels else race
        raced = compete(track, swept, self.plan, purse)
        if any(run.outcome == "out-of-time" for run in raced.finalists):
            raise OutOfTime("the race between the rates could not be finished")
        if self._has_time_to_decide(track, raced):
            decide(self.context, track, raced, self.plan, purse)
        look = closer_look(self.context, track, raced, self.plan, purse, self._epoch_steps(),
                           bearable=swept.stable()[1])
        heart = self._by_heart(track, swept, raced, purse)
        self._note_descent(track, swept, raced, heart)
        self._note_ending(track, raced.user, purse)
        if heart is not None and heart.overrules(raced):
            note.note(_OVERRULED)
            track, raced = heart.track, heart.race(raced.user.lr)
            look = look_by_heart(track, raced, look, BY_HEART, self._epoch_steps())
        self._note_rates(track, swept, raced)
        self._note_comparison(track, raced, look)
        for run, name in ((raced.user, "lr_trial_user"), (raced.best, "lr_trial_suggested")):
            note.series(_curve(name, f"learning rate {run.lr:.2g}", run))
        for run in [*raced.further, *(run for run in raced.finalists
                                      if run.lr not in {longer.lr for longer in raced.further})]:
            note.series(_curve("lr_race", f"{run.lr:.2g}", run))

    def _has_time_to_decide(self, track: Track, raced: Race) -> bool:
        """Tell whether the leaders may go on.

        Where nothing is learned yet, that is not in the place of what is learned by heart: they
        mostly stay at the best constant, while a handful of samples tells them apart.
        """
        if track.share_learned(raced.lowest) > HARDLY_ANY:
            return True
        steps = self.plan.long * len(raced.leaders) + ALL_BY_HEART
        return self.context.seconds_left() >= steps * self.context.step_seconds

    def _note_rates(self, track: Track, swept: Sweep, raced: Race) -> None:
        note = self.context.note
        low, high = swept.stable()
        flat_low, flat_high = raced.flat
        note.measure("user_lr", track.user_lr)
        suggested = raced.best.lr * self._caution(track, raced)
        note.measure("suggested_lr", suggested)
        note.measure("lr_ratio", track.user_lr / suggested if suggested else math.inf)
        note.measure("flat_lr_low", min(flat_low, suggested))
        note.measure("flat_lr_high", flat_high)
        low_spread, high_spread = swept.stable_spread()
        note.measure("stable_lr_low", min(low, flat_low), spread=low_spread)
        note.measure("stable_lr_high", max(min(high, raced.highest_standing), flat_high),
                     spread=high_spread)
        for name, run in (("user_below_zero", raced.user), ("best_below_zero", raced.best)):
            note.measure(name, track.below_zero(run))
        note.measure("lr_trial_steps", max(len(run.losses) for run in raced.finalists))
        note.measure("warms_up", track.bench.schedule.warms_up)
        note.measure("pretrained", "from_pretrained" in self.context.target.traits)
        note.measure("growth_through_time", max((
            float(m.value) for seen in self.context.earlier.values() for m in seen.measurements
            if m.name == "time_growth_decades"), default=0.0))

    def _caution(self, track: Track, raced: Race) -> float:
        """Return the part of the winning rate to suggest; all of it where little is learned yet."""
        return self.plan.caution if track.share_learned(raced.lowest) >= BARELY else 1.0

    def _by_heart(
        self, track: Track, swept: Sweep, raced: Race, purse: Purse,
    ) -> ByHeart | None:
        """Let some rates learn a handful of samples, where no rate learned more in the race."""
        if track.share_learned(raced.lowest) > HARDLY_ANY:
            return None
        # Asked in any case: where nothing is learned, all else has used up the steps.
        affordable = max(purse.left // BY_HEART, _MEMORISING_RATES)
        rates = self._rates_to_memorise(swept, raced)[:affordable]
        return by_heart(self.context, rates, track.user_lr, raced.best.lr, swept.stable()[1],
                        track.train)

    def _note_descent(
        self, track: Track, swept: Sweep, raced: Race, heart: ByHeart | None,
    ) -> None:
        """Measure whether any rate at all beats the best constant prediction."""
        note = self.context.note
        learned = track.share_learned(raced.lowest)
        known = learned > HARDLY_ANY
        if heart is not None and heart.tells:
            learned = max(learned, heart.learned)
            known = learned > HARDLY_ANY or self.plan.length >= _SHORTEST
        if known:
            note.measure("best_descent", max(learned, 0.0))
        else:
            is_short = self.plan.length < _SHORTEST
            note.missed(_TOO_SHORT.format(self.plan.length) if is_short else _NOT_KNOWN,
                        "best_descent")
        note.measure("sweep_improves", swept.improves())
        note.measure("sweep_descent", swept.descent, spread=swept.noise)

    def _rates_to_memorise(self, swept: Sweep, raced: Race) -> list[float]:
        rates = (raced.user.lr, raced.best.lr, swept.rates[swept.best] / 4)
        return [lr for lr in dict.fromkeys(rates) if lr > 0]

    def _note_comparison(self, track: Track, raced: Race, look: CloserLook) -> None:
        note, found = self.context.note, look.found
        if look.missing:
            # One trial tells what a warm-up does; what the rates do needs several.
            if found.warm_gaps:
                self._note_warm_up(found)
            known = WARM_UP if found.warm_gaps else ()
            note.missed(look.missing, *(name for name in COMPARISON if name not in known))
            return
        self._note_warm_up(found)
        note.measure("epoch_steps", self._epoch_steps())
        note.measure("epoch_progress", max(look.progress, 0.0))
        note.measure("lr_speedup", speedup(raced.user, raced.best))
        note.measure("initial_trial_loss", fmean(track.before))
        note.measure("lr_gap_least", min(found.gaps), samples=len(found.gaps))
        note.measure("lr_gap_p", found.test.p, samples=found.test.pairs)
        note.measure("lr_gap_to_noise", self._to_noise(found.pairs))
        note.measure("lr_trials", len(found.gaps))
        note.measure("killed_share", found.died)

    def _note_warm_up(self, found: Comparison) -> None:
        note, gap = self.context.note, fmean(found.gaps)
        note.measure("lr_gap", gap, samples=len(found.gaps))
        note.measure("lr_gap_warm", fmean(found.warm_gaps) if found.warm_gaps else gap)
        note.measure("warmup_tried", bool(found.warm_gaps))
        note.measure("warmup_diverges", any(found.warm_blown))
        note.measure("first_jolt", found.jolt)
        note.measure("first_jolt_warm", found.warm_jolt if found.warm_gaps else found.jolt)
        note.measure("blown_up_share", sum(found.blown) / len(found.blown))
        note.measure("user_loss_after", fmean(user for user, _ in found.pairs))
        note.measure("suggested_loss_after", fmean(best for _, best in found.pairs))

    def _to_noise(self, pairs: Sequence[tuple[float, float]]) -> float:
        """Return the mean difference of the pairs over the spread between seeds."""
        noise = self.context.number("trial_seed_noise")
        if not 0 < noise < math.inf:
            return math.inf
        return fmean(user - best for user, best in pairs) / noise

    def _note_ending(self, track: Track, user: Run, purse: Purse) -> None:
        note = self.context.note
        if user.outcome == "diverged" or user.state is None or not math.isfinite(user.loss):
            note.absent("the trial at the user's rate diverged", *ENDING)
            return
        if len(user.losses) < _SHORTEST:
            note.missed(_TOO_SHORT.format(len(user.losses)), *ENDING)
            return
        if not purse.holds(LOOK) or self.context.seconds_left() < LOOK * self.context.step_seconds:
            note.missed("the steps were spent on comparing the rates", *ENDING)
            return
        last = ending(track, user)
        if not last.learned:
            note.absent("there is nothing to learn in these batches", *ENDING)
            return
        for name, value in zip(ENDING, (last.swing, last.reversals, last.to_batch_noise),
                               strict=True):
            note.measure(name, value)

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


def _curve(name: str, label: str, run: Run) -> Series:
    return Series(name, label, tuple(map(float, range(len(run.losses)))), tuple(run.losses),
                  "step", "loss")
