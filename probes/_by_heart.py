"""Can anything be learned at all? A handful of samples, by heart, at several rates."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from auditor.probe import ProbeContext

from ._race import finish
from ._subset import subset
from ._track import Run, Track

# Steps of a run, and of one that was still on its way down at their end.
BY_HEART, _LONGER = 60, 240
# Learned less than this part of the uninformed loss is hardly anything.
HARDLY_ANY = 0.06
# On its way: the last steps lie below those before them by this part of that loss.
_LAST, _ON_ITS_WAY = 15, 0.01
# So many give a few samples of rare classes, too; where they have one answer all the same, the loss
# of the best constant is this part of that at the start, or less.
_FEW_BATCHES, _KNOWN = 4, 1e-3


def learned_by_heart(
    context: ProbeContext, rates: Sequence[float], known: Sequence[Any],
) -> list[float]:
    """Return what each of the rates surely learns of a tiny subset, as a share.

    It is taken from batches far apart, since neighbours of a sorted set have one answer. Two
    standard errors are taken off: the loss may shuffle its samples, or draw its targets. Where
    every step draws others (masked words) the loss stands at the best constant for a while, before
    the samples are told apart: what was still on its way down there goes on.

    Nothing where the samples all have one answer, since a constant knows it, or where the time was
    over before anything was learned.

    Args:
        context: Of the probe.
        rates: To try.
        known: Stored batches.
    """
    if not rates or context.seconds_left() <= 0:
        return []
    few = min(_FEW_BATCHES, len(known))
    apart = [known[i * (len(known) - 1) // max(few - 1, 1)] for i in range(few)]
    track = Track(context, 1, only=subset(apart))
    start = fmean(track.before)
    if track.constant is not None and abs(track.constant) <= _KNOWN * abs(start):
        return []
    runs = [track.go(lr, BY_HEART) for lr in rates]
    if max(_surely_learned(track, run) for run in runs) <= HARDLY_ANY:
        runs = [finish(track, run, _LONGER) if _is_on_its_way(track, run) else run
                for run in runs]
    # What the clock has cut short has learned that much at least, and shows no limit.
    whole = all(run.outcome != "out-of-time" for run in runs)
    shares = [_surely_learned(track, run) for run in runs]
    return shares if whole or max(shares) > HARDLY_ANY else []


def _surely_learned(track: Track, run: Run) -> float:
    if not (track.whole and run.after):
        return track.share_learned(run)
    return track.share_learned(run) - 2 * run.standard_error / track.whole


def _is_on_its_way(track: Track, run: Run) -> bool:
    before, last = run.losses[-2 * _LAST:-_LAST], run.losses[-_LAST:]
    return bool(before) and fmean(before) - fmean(last) > _ON_ITS_WAY * track.whole
