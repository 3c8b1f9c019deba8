"""Closer looks at the user's rate: taken only where the race gives a reason, or at little cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from auditor.probe import ProbeContext

from ._paired import Paired, paired
from ._track import Run, Track

# Steps of the look at the end of the user's run.
LOOK = 32
# What a swing is compared with, at least, relative to the loss of an uninformed model: a run that
# has hardly begun to learn swings by more than it has learned.
_LEAST_LEARNED = 0.25


@dataclass
class Comparison:
    """The user's rate against the suggested one on several tracks.

    Attributes:
        gaps: How far the user's run ended behind, per track (see `Track.gap`).
        blown: Whether the user's run diverged or ended above its start, per track.
        pairs: (user, suggested) losses at the end, per track.
        warm_gaps: The gaps with a linear warm-up, where that was tried.
        warm_blown: Whether the run with the warm-up blew up.
        jolt: How far the loss of the first track rose before it fell (see `Track.jolt`).
        warm_jolt: The same with the warm-up.
        died: Share of a layer's units that the user's run killed and the suggested one did not.
    """

    gaps: list[float]
    blown: list[bool]
    pairs: list[tuple[float, float]]
    warm_gaps: list[float]
    warm_blown: list[bool]
    jolt: float = 0.0
    warm_jolt: float = math.inf
    died: float = 0.0

    @property
    def test(self) -> Paired:
        """The paired test over the tracks that the user's run ends behind.

        All that is not learned at all counts alike: how far a run ended above the best constant
        would only add to the spread.
        """
        return paired([min(gap, 1.0) for gap in self.gaps], [0.0] * len(self.gaps))

    def add(self, track: Track, user: Run, suggested: Run) -> None:
        """Count one more track."""
        self.gaps.append(track.gap(user, suggested))
        self.blown.append(track.blown_up(user))
        self.pairs.append((user.loss, suggested.loss))


def compare(
    context: ProbeContext, suggested_lr: float, steps: int, so_far: Comparison, tracks: int,
    only: Any = None,
) -> None:
    """Run both rates on further tracks: other initial weights, another order of the batches.

    With `only`, all of them on this batch.
    """
    for number in range(1, tracks + 1):
        if context.seconds_left() <= 0:
            return
        track = Track(context, steps, number=number, only=only)
        user, suggested = track.go(track.user_lr, steps), track.go(suggested_lr, steps)
        if "out-of-time" in (user.outcome, suggested.outcome):
            return
        so_far.add(track, user, suggested)


def warm_up(track: Track, suggested: Run, steps: int, so_far: Comparison) -> bool:
    """Run the user's rate with a linear warm-up over half a trial, and a whole trial after it.

    Returns:
        Whether it was finished in time.
    """
    ramp = max(steps // 2, 1)
    warm = track.go(track.user_lr, ramp + steps, warmup_steps=ramp)
    if warm.outcome == "out-of-time":
        return False
    so_far.warm_gaps.append(track.gap(warm, suggested))
    so_far.warm_blown.append(track.blown_up(warm))
    so_far.warm_jolt = track.jolt(warm)
    return True


def in_a_hurry(track: Track, steps: int, epoch: int) -> Run:
    """Return an epoch at the user's rate, run in a trial's steps at a rate larger in proportion.

    Where steps are small, a rate taken n times as large gets as far in an n-th of the steps.
    """
    return track.go(hurried(track, steps, epoch), steps, warmup_steps=0)


def hurried(track: Track, steps: int, epoch: int) -> float:
    """Return the rate at which a trial moves the weights as far as an epoch does at the user's."""
    return track.user_lr * epoch / steps


def speedup(user: Run, suggested: Run, window: int = 5) -> float:
    """Return how many times faster the suggested rate reaches the loss that the user's ends at.

    Both runs' losses are averaged over windows of the same batches.
    """
    steps = len(user.losses)
    if steps < 2 * window or not all(map(math.isfinite, user.losses)):
        return math.inf
    end = fmean(user.losses[-window:])
    for step in range(window, len(suggested.losses) + 1):
        if fmean(suggested.losses[step - window:step]) <= end:
            return steps / step
    return steps / max(len(suggested.losses), 1)


@dataclass(frozen=True)
class Ending:
    """How the loss moves at the end of the user's run.

    Attributes:
        swing: Standard deviation of one fixed batch's loss from step to step, about its trend,
            relative to what was learned; NaN where there is nothing to learn.
        reversals: Share of the steps that turn the direction of that loss.
        to_batch_noise: The same swing relative to the spread over batches at fixed weights.
        learned: What the swing is relative to, in units of the loss.
    """

    swing: float
    reversals: float
    to_batch_noise: float
    learned: float


def ending(track: Track, user: Run) -> Ending:
    """Go on from the user's run for a few steps."""
    assert user.state is not None
    track.begin()
    track.bench.restore(user.state)
    track.set_lr(user.lr)
    losses = [track.loss_of(track.judges[0])]
    while len(losses) <= LOOK and math.isfinite(track.step()):
        losses.append(track.loss_of(track.judges[0]))
    learned = max(track.reference - user.loss, _LEAST_LEARNED * abs(track.reference))
    residual = _about_trend(losses)
    noise = _deviation(user.after)
    return Ending(
        residual / learned if learned else math.nan, _reversals(losses),
        residual / noise if noise else math.inf, learned,
    )


def _about_trend(values: Sequence[float]) -> float:
    """Return the standard deviation about the straight line of least squares; inf if not finite."""
    if not all(map(math.isfinite, values)):
        return math.inf
    count = len(values)
    if count < 3:
        return 0.0
    middle, mean = (count - 1) / 2, fmean(values)
    slope = sum((i - middle) * (v - mean) for i, v in enumerate(values)) / sum(
        (i - middle) ** 2 for i in range(count))
    rest = [v - mean - slope * (i - middle) for i, v in enumerate(values)]
    return math.sqrt(sum(r * r for r in rest) / (count - 2))


def _reversals(values: Sequence[float]) -> float:
    moves = [b - a for a, b in zip(values, values[1:], strict=False)]
    turns = [a * b < 0 for a, b in zip(moves, moves[1:], strict=False)]
    return sum(turns) / len(turns) if turns else 0.0


def _deviation(values: Sequence[float]) -> float:
    mean = fmean(values)
    return math.sqrt(sum((v - mean) ** 2 for v in values) / max(len(values) - 1, 1))
