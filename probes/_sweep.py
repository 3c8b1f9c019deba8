"""The learning-rate range test on common random numbers.

The rate grows from step to step while the same few batches come round again and again, and the
loss is averaged over one whole round: every window holds the same examples, so that the curve shows
the rate and not the luck of the batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from auditor.observation import Series

from ._track import Track

POINTS = 40
FEWEST_POINTS = 12
# Batches of a round; the loss at the start is looked at so often, which takes about so many steps.
_ROUND, _TIMES = 4, 3
LOOKS = 4
_DECADES = 7.0
_LOWEST, _HIGHEST = 1e-6, 10.0


@dataclass(frozen=True)
class Sweep:
    """What the range test saw.

    Attributes:
        rates: Of each point, ascending.
        losses: Mean over the last round of batches, as many.
        start: Loss of the round at the start.
        noise: Standard deviation of one round's loss at fixed weights (dropout).
        each: The same of each batch of the round alone.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    start: float
    noise: float
    each: tuple[Sweep, ...] = ()

    @property
    def best(self) -> int:
        """Index of the lowest loss."""
        return min(range(len(self.losses)), key=lambda i: self.losses[i])

    @property
    def descent(self) -> float:
        """How far the loss fell below its start."""
        return self.start - self.losses[self.best]

    def improves(self) -> bool:
        """Tell whether the descent leaves the noise (three standard deviations)."""
        return self.descent > max(3 * self.noise, 1e-6 * abs(self.start))

    def stable(self) -> tuple[float, float]:
        """Return the rates between which the loss falls: from 5 % of the descent to the turn up."""
        fallen = [i for i, loss in enumerate(self.losses)
                  if self.start - loss > max(0.05 * self.descent, 3 * self.noise)]
        # The best point itself stays above the start where no rate helps.
        below = [i for i in range(self.best, len(self.losses)) if self.losses[i] <= self.start]
        return (self.rates[fallen[0] if fallen else self.best],
                self.rates[max(below, default=self.best)])

    def stable_spread(self) -> tuple[float | None, float | None]:
        """Return the standard deviation of both ends over the batches of the round."""
        ends = [one.stable() for one in self.each if one.losses]
        if len(ends) < 2:
            return None, None
        low, high = (stdev(values) for values in zip(*ends, strict=True))
        return low, high

    def series(self) -> Series:
        """Return the curve for the reports."""
        return Series("lr_sweep", "loss over one round of batches", self.rates, self.losses,
                      "learning rate", "loss")


def sweep(track: Track, points: int = POINTS) -> Sweep:
    """Run the range test from the track's start, without warm-up.

    Args:
        track: Its first batches make up the round.
        points: Over seven decades; a wider range gets more.
    """
    low, high = _range(track.user_lr)
    count = max(FEWEST_POINTS, round(points * math.log10(high / low) / _DECADES))
    growth = (high / low) ** (1 / (count - 1))
    size = min(_ROUND, len(track.train))
    track.begin()
    rounds = [[track.loss_of(batch, seed) for batch in track.train[:size]]
              for seed in range(_TIMES)]
    start = fmean(map(fmean, rounds))
    noise = _noise([fmean(values) for values in rounds])
    whole = track.train
    track.train = whole[:size]
    try:
        done = track.go(
            low, count, rate=lambda step: low * growth**step, warmup_steps=0, patient=False,
            judged=False,
        )
    finally:
        track.train = whole
    seen = [*rounds[0], *(loss for loss in done.losses if math.isfinite(loss))]
    windows = [fmean(seen[i - size + 1:i + 1]) for i in range(size, len(seen))] or [start]
    rates = [low * growth**step for step in range(max(len(windows), len(done.losses)))]
    each = tuple(_alone(k, rates, done.losses, rounds) for k in range(size))
    return Sweep(tuple(rates[:len(windows)]), tuple(windows), start, noise, each)


def _alone(
    number: int, rates: Sequence[float], losses: Sequence[float], rounds: list[list[float]],
) -> Sweep:
    """Return what one batch of the round saw of the range test."""
    size, own = len(rounds[0]), [values[number] for values in rounds]
    seen = [(rates[i], losses[i]) for i in range(number, len(losses), size)
            if math.isfinite(losses[i])]
    return Sweep(tuple(rate for rate, _ in seen), tuple(loss for _, loss in seen), fmean(own),
                 _noise(own))


def _range(user_lr: float) -> tuple[float, float]:
    low = min(_LOWEST, user_lr / 10) if user_lr > 0 else _LOWEST
    return max(low, 1e-10), max(_HIGHEST, 10 * user_lr)


def _noise(values: Sequence[float]) -> float:
    mean = fmean(values)
    return math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1))
