"""A race between learning rates: successive halving on one track.

No formula on one sweep is safe, so the sweep only proposes; what is suggested has won a race.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from ._sweep import Sweep
from ._track import Run, Track

# Relative to the rate at the sweep's minimum: the best rate lies below it, rarely above.
_LANES = (2.0, 1.0, 0.5, 0.25, 0.125, 0.0625)
_FINALISTS = 3
_FIRST_ROUND = 1 / 3
# The user's rate takes the place of a lane that is this close.
_CLOSE = 1.3
_EXTENSIONS = 2
# Rates whose loss is this close to the best, relative to the whole descent, are as good.
_FLAT = 0.05
_ALIKE = 0.01


@dataclass
class Race:
    """What came of it.

    Attributes:
        finalists: The runs that went the whole way, the user's among them, by rate.
        user: The run at the user's rate.
        reference: Loss from which the descent of a run counts.
        dropped: Rates that were left behind or diverged.
    """

    finalists: list[Run]
    user: Run
    reference: float
    dropped: list[Run] = field(default_factory=list)

    @property
    def best(self) -> Run:
        """The winner: of runs that end alike, within 1 % of the descent, the lowest rate.

        Short races lean towards rates that are a little too large for longer runs.
        """
        return min(self._within(_ALIKE), key=lambda run: run.lr)

    @property
    def flat(self) -> tuple[float, float]:
        """The range of raced rates that are as good as the best, within 5 % of the descent."""
        rates = [run.lr for run in self._within(_FLAT)]
        return min(rates), max(rates)

    def _within(self, part: float) -> list[Run]:
        lowest = min(run.loss for run in self.finalists)
        limit = lowest + part * max(self.reference - lowest, 0.0)
        return [run for run in self.finalists if run.loss <= limit]

    @property
    def highest_standing(self) -> float:
        """The largest raced rate that did not diverge."""
        standing = [run.lr for run in [*self.finalists, *self.dropped]
                    if run.outcome != "diverged" and math.isfinite(run.loss)]
        return max(standing, default=0.0)


def race(track: Track, swept: Sweep, steps: int) -> Race:
    """Let the user's rate and those around the sweep's minimum compete.

    Args:
        track: Where; every run sees the same batches.
        swept: Proposes the lanes.
        steps: Length of a whole run; the first third decides who goes on.
    """
    first = max(round(_FIRST_ROUND * steps), 1)
    kept: list[Run] = []
    dropped: list[Run] = []
    for lr in lanes(swept.rates[swept.best], track.user_lr):
        kept.append(track.go(lr, first, patient=lr == track.user_lr))
        kept.sort(key=lambda run: run.loss)
        # Left behind at once: a state holds a copy of the weights and of the optimizer.
        for run in [run for run in kept[_FINALISTS:] if run.lr != track.user_lr]:
            run.state = None
            kept.remove(run)
            dropped.append(run)
    finalists = [finish(track, run, steps) for run in kept]
    _extend(track, finalists, dropped, steps)
    finalists.sort(key=lambda run: run.lr)
    user = next(run for run in finalists if run.lr == track.user_lr)
    return Race(finalists, user, track.reference, dropped)


def lanes(centre: float, user_lr: float) -> list[float]:
    """Return the rates that race: around the sweep's minimum, and the user's."""
    around = [centre * factor for factor in _LANES]
    apart = [lr for lr in around if not user_lr / _CLOSE < lr < user_lr * _CLOSE]
    return [user_lr, *apart]


def finish(track: Track, run: Run, steps: int) -> Run:
    """Return the run taken to its whole length; a diverged one stays as it is."""
    left = steps - len(run.losses)
    if run.outcome == "diverged" or run.state is None or left <= 0:
        return run
    rest = track.go(run.lr, left, state=run.state)
    return Run(run.lr, run.losses + rest.losses, rest.outcome, rest.after, rest.state)


def _extend(track: Track, finalists: list[Run], dropped: list[Run], steps: int) -> None:
    """Race still lower rates while the lowest one wins."""
    for _ in range(_EXTENSIONS):
        best = min(finalists, key=lambda run: run.loss)
        raced = [run.lr for run in [*finalists, *dropped]]
        if best.lr > min(raced) or not best.lr or not math.isfinite(best.loss):
            return
        finalists.append(track.go(best.lr / 2, steps, patient=False))
