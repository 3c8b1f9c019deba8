"""Can anything be learned at all? A handful of samples, by heart, at several rates."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from auditor.probe import ProbeContext

from ._race import BARELY, CLOSE, Race, finish
from ._subset import subset
from ._track import Run, Track

# Steps of a run, and of one that was still on its way down at their end.
BY_HEART, _LONGER = 60, 240
# Of all runs where one of them learns, and of the comparison with the user's rate.
ALL_BY_HEART = 8 * BY_HEART
# Learned less than this part of the uninformed loss is hardly anything.
HARDLY_ANY = 0.06
# On its way: the last steps lie below those before them by this part of that loss.
_LAST, _ON_ITS_WAY = 15, 0.01
# The last rates that are tried, each relative to the one before, the first to the race's winner:
# below it, and where these learn hardly anything either, above.
_LOWER, _TRIES_BELOW = 1 / 16, 2
_HIGHER, _TRIES_ABOVE = 8, 2
# So far above one that learns, a rate that does not is the fault.
_FAR_APART = 5.0
# So many give a few samples of rare classes, too; where they have one answer all the same, the loss
# of the best constant is this part of that at the start, or less.
_FEW_BATCHES, _KNOWN = 4, 1e-3


@dataclass
class ByHeart:
    """What was learned of a tiny subset, at several rates.

    Attributes:
        track: Of the runs.
        runs: One for each rate.
    """

    track: Track
    runs: list[Run]

    @property
    def learned(self) -> float:
        """What the best of them surely learned, as a share."""
        return max(self._surely(run) for run in self.runs)

    @property
    def tells(self) -> bool:
        """Whether something was learned, or all had the time to."""
        # What the clock has cut short has learned that much at least, and shows no limit.
        whole = all(run.outcome != "out-of-time" for run in self.runs)
        return whole or self.learned > HARDLY_ANY

    def overrules(self, raced: Race) -> bool:
        """Tell whether these runs say more of the rates than a race in which none learned.

        While nothing but the best constant is learned, rates win that are too high for all else.
        They do where the winner learns nothing by heart, or the user's rate nothing far above one
        that learns. What the clock has cut short may still learn.
        """
        if not self.learned > HARDLY_ANY or all(run.lr != raced.user.lr for run in self.runs):
            return False
        best = max(self.runs, key=self._surely)
        nothing = {run.lr for run in self.runs
                   if run.outcome != "out-of-time" and self._surely(run) <= HARDLY_ANY}
        is_far_above = raced.user.lr >= _FAR_APART * best.lr and raced.user.lr in nothing
        return is_far_above or raced.best.lr in nothing

    def race(self, user_lr: float) -> Race:
        """Return the user's run and the winner as a race, taken equally far."""
        best = max(self.runs, key=self._surely)
        user = next(run for run in self.runs if run.lr == user_lr)
        pair = [user] if user is best else sorted((user, best), key=lambda run: run.lr)
        others = [run for run in self.runs if run is not user and run is not best]
        reach = max(len(run.losses) for run in pair)
        pair = [finish(self.track, run, reach) for run in pair]
        user = next(run for run in pair if run.lr == user_lr)
        return Race(pair, user, self.track.reference, self.track.whole, others)

    def try_each(self, rates: Sequence[float]) -> None:
        """Take a run for each rate."""
        self.runs += [self.track.go(lr, BY_HEART) for lr in rates]

    def try_new(self, rates: Sequence[float], enough: float) -> None:
        """Take a run for each rate that none was near to, until one surely learned enough."""
        for lr in rates:
            is_new = all(not lr / CLOSE < run.lr < lr * CLOSE for run in self.runs)
            if self.learned <= enough and self.tells and is_new and lr > 0:
                self.try_each([lr])

    def go_on(self, steps: int, rates: Container[float]) -> None:
        """Let the runs at these rates that are still on their way go on, up to so many steps."""
        self.runs = [finish(self.track, run, steps)
                     if run.lr in rates and self._is_on_its_way(run) else run for run in self.runs]

    def _surely(self, run: Run) -> float:
        """Return what a run learned, less two standard errors.

        The loss may shuffle its samples, or draw its targets.
        """
        learned = self.track.share_learned(run)
        if not (self.track.whole and run.after):
            return learned
        return learned - 2 * run.standard_error / self.track.whole

    def _is_on_its_way(self, run: Run) -> bool:
        before, last = run.losses[-2 * _LAST:-_LAST], run.losses[-_LAST:]
        return bool(before) and fmean(before) - fmean(last) > _ON_ITS_WAY * self.track.whole


def by_heart(
    context: ProbeContext, rates: Sequence[float], user_lr: float, winner: float, bearable: float,
    known: Sequence[Any],
) -> ByHeart | None:
    """Let several rates learn a tiny subset.

    It is taken from batches far apart, since neighbours of a sorted set have one answer. Where
    every step draws others (masked words) the loss stands at the best constant for a while, before
    the samples are told apart: what was still on its way down there goes on.

    Args:
        context: Of the probe.
        rates: To try.
        user_lr: One of them, if it is above zero.
        winner: Of the race; rates below it are tried where these learn little or nothing. Rates
            above it are where those learn hardly anything: where the loss falls late, the ones that
            disturb it least win a race.
        bearable: The largest rate at which the loss of the sweep was below its start.
        known: Stored batches.

    Returns:
        None where the samples all have one answer, since a constant knows it, and where the time
        is over.
    """
    if not rates or context.seconds_left() <= 0:
        return None
    few = min(_FEW_BATCHES, len(known))
    apart = [known[i * (len(known) - 1) // max(few - 1, 1)] for i in range(few)]
    track = Track(context, 1, only=subset(apart))
    start = fmean(track.before)
    if track.constant is not None and abs(track.constant) <= _KNOWN * abs(start):
        return None
    found = ByHeart(track, [])
    found.try_each(rates)
    lower = [winner * _LOWER**n for n in range(1, _TRIES_BELOW + 1)]
    found.try_new(lower, BARELY)
    higher = [winner * _HIGHER**n for n in range(1, _TRIES_ABOVE + 1)]
    found.try_new([lr for lr in higher if lr <= bearable], HARDLY_ANY)
    if found.learned <= HARDLY_ANY:
        found.go_on(_LONGER, {*rates, *lower, *higher})
    elif len(found.runs) > len(rates):
        found.go_on(2 * BY_HEART, {user_lr})
    return found
