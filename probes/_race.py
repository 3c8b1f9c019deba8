"""A race between learning rates: successive halving on one track.

No formula on one sweep is safe, so the sweep only proposes; what is suggested has won a race.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from ._rate_plan import Plan, Purse
from ._sweep import Sweep
from ._track import Run, Track

# Relative to the rate at the sweep's minimum: the best rate lies well below it.
_LANES = (0.5, 0.25, 0.125, 0.0625)
# The user's rate takes the place of a lane that is this close.
CLOSE = 1.3
_EXTENSIONS = 2
# Go on from the heats, beside the user's rate and one below both.
_LEADERS = 2
# Late starters, at most: one, and its rate doubled three times.
_LATE = 4
# Rates whose loss is this close to the best, relative to the whole descent, are as good.
_FLAT = 0.05
_ALIKE = 0.01
# So close to a rate that falls apart the next lower one is taken, where it is as good within 5 %:
# what stands for 56 steps there need not stand for 300.
_NEIGHBOUR = 2.1
_FALLEN = 0.5
# Learned less than this part of the whole: who leads a race that has only begun is chance.
BARELY = 0.25
_AS_GOOD = 0.05
# Less than this part of the whole is nothing learned.
HARDLY = 0.01
# These go on where the whole way does not decide.
_FURTHER = 3


@dataclass
class Race:
    """What came of it.

    Attributes:
        finalists: The runs that went the whole way, by rate.
        user: The run at the user's rate; a shorter one where only the suggestion is asked for.
        reference: Loss from which the descent of a run counts.
        whole: What could be learned, in units of the loss.
        dropped: Rates that were left behind or diverged.
        further: The leaders' longer runs, where the whole way had not decided.
    """

    finalists: list[Run]
    user: Run
    reference: float
    whole: float
    dropped: list[Run] = field(default_factory=list)
    further: list[Run] = field(default_factory=list)

    @property
    def best(self) -> Run:
        """The winner's run: of runs that end alike, within 1 % of the descent, the lowest rate.

        Short races lean towards rates that are a little too large for longer runs. While hardly
        anything is learned it is the other way round: the loss leaves its plateau the sooner the
        larger the rate, and the largest one wins that does as well so far.
        """
        runs = self.further or self.finalists
        lowest = min(run.loss for run in runs)
        if self.reference - lowest < BARELY * self.whole:
            won = max(run.lr for run in runs if run.loss <= lowest + _AS_GOOD * self.whole)
        else:
            won = min(run.lr for run in self._within(runs, _ALIKE))
            if self._is_at_the_edge(won):
                won = max((run.lr for run in self._within(runs, _FLAT)
                           if won / _NEIGHBOUR < run.lr < won), default=won)
        return next(run for run in self.finalists if run.lr == won)

    def _is_at_the_edge(self, lr: float) -> bool:
        """Tell whether a rate just above this one diverges or undoes half of what it learns."""
        learned = self.reference - self.lowest.loss
        return any(lr < run.lr < lr * _NEIGHBOUR and not (
            self.reference - run.loss > _FALLEN * learned) for run in self.finalists)

    @property
    def lowest(self) -> Run:
        """The finalist that ended lowest."""
        return min(self.finalists, key=lambda run: run.loss)

    @property
    def flat(self) -> tuple[float, float]:
        """The range of raced rates that are as good as the best, within 5 % of the descent."""
        rates = [self.best.lr, *(run.lr for run in self._within(self.finalists, _FLAT))]
        return min(rates), max(rates)

    @property
    def leaders(self) -> list[Run]:
        """The three best runs."""
        return sorted(self.finalists, key=lambda run: run.loss)[:_FURTHER]

    @property
    def highest_standing(self) -> float:
        """The largest raced rate that did not diverge."""
        standing = [run.lr for run in [*self.finalists, *self.dropped]
                    if run.outcome != "diverged" and math.isfinite(run.loss)]
        return max(standing, default=0.0)

    def replace(self, finalists: list[Run]) -> None:
        """Take the finalists' longer runs in their place."""
        self.user = next(run for run in finalists if run.lr == self.user.lr)
        self.finalists, self.further = finalists, []

    def join(self, runs: list[Run]) -> None:
        """Let further runs of the whole way count, and those that went beyond it no more."""
        self.finalists = sorted([*self.finalists, *runs], key=lambda run: run.lr)
        self.further = []

    def _within(self, runs: list[Run], part: float) -> list[Run]:
        lowest = min(run.loss for run in runs)
        limit = lowest + part * max(self.reference - lowest, 0.0)
        return [run for run in runs if run.loss <= limit]


def race(track: Track, swept: Sweep, plan: Plan, purse: Purse) -> Race:
    """Let the user's rate and those around the sweep's minimum compete.

    Args:
        track: Where; every run sees the same batches.
        swept: Proposes the lanes.
        plan: Steps of the heats and of the whole way.
        purse: What is left of the plan.
    """
    kept, dropped = _heats(track, lanes(swept.rates[swept.best], track.user_lr), plan.heat)
    user = next(run for run in kept if run.lr == track.user_lr)
    finalists = _whole_ways(track, kept, user, plan)
    if all(track.share_learned(run) < HARDLY for run in finalists):
        finalists += _late_starters(track, dropped, plan, purse)
    if plan.compares:
        _add_the_next_lower(track, finalists, plan)
    finalists.sort(key=lambda run: run.lr)
    user = next((run for run in finalists if run.lr == user.lr), user)
    return Race(finalists, user, track.reference, track.whole, dropped)


def _whole_ways(track: Track, kept: list[Run], user: Run, plan: Plan) -> list[Run]:
    """Return the runs that lead, and the user's, taken the whole way.

    The heats lean towards rates that are too large for it; so one rate below those that lead goes
    with them.
    """
    if not plan.compares and user not in kept[:_LEADERS]:
        kept.remove(user)
    finalists = [finish(track, run, plan.length) for run in kept]
    below = min(run.lr for run in kept[:_LEADERS]) / 2
    if below > 0 and all(not below / CLOSE < run.lr < below * CLOSE for run in finalists):
        finalists.append(track.go(below, plan.length, patient=False))
    return finalists


def _late_starters(
    track: Track, dropped: list[Run], plan: Plan, purse: Purse,
) -> list[Run]:
    """Return whole runs that learn, of rates that the heats have dropped; for when no other does.

    What is rarely seen, as the rows of an embedding, is learned late, and the loss of other batches
    may rise before it falls: rates that have hardly moved then lead the heats. The one that rose
    least shows whether it is so; if it learns, higher ones follow while the highest one leads.
    """
    standing = [run for run in dropped if run.loss <= track.unbearable]
    late: list[Run] = []
    lr = min(standing, key=lambda run: run.loss).lr if standing else 0.0
    while lr and len(late) < _LATE and (not late or purse.holds(plan.length)):
        late.append(track.go(lr, plan.length, patient=False))
        best = min(late, key=lambda run: run.loss)
        leads = best.lr == lr and track.share_learned(best) >= HARDLY
        lr = 2 * lr if leads else 0.0
    # What the clock has cut short shall not take the place of those that went the whole way.
    return [run for run in late
            if track.share_learned(run) >= HARDLY and run.outcome != "out-of-time"]


def _add_the_next_lower(track: Track, finalists: list[Run], plan: Plan) -> None:
    """Let half of the leading rate run too, where nothing near below it has gone the whole way.

    Not where the user's rate lies above: the steps are for comparing it on further seeds.
    """
    lead = min(finalists, key=lambda run: run.loss)
    half = lead.lr / 2
    if half and math.isfinite(lead.loss) and track.user_lr <= lead.lr and all(
            not half / CLOSE < run.lr < half * CLOSE for run in finalists):
        finalists.append(track.go(half, plan.length, patient=False))


def _heats(track: Track, rates: list[float], steps: int) -> tuple[list[Run], list[Run]]:
    """Return the runs that go on, by loss, and the others."""
    kept: list[Run] = []
    dropped: list[Run] = []

    def run_at(lr: float) -> None:
        kept.append(track.go(lr, steps, patient=lr == track.user_lr))
        kept.sort(key=lambda run: run.loss)
        # Left behind at once: a state holds a copy of the weights and of the optimizer.
        for run in [run for run in kept[_LEADERS:] if run.lr != track.user_lr]:
            run.state = None
            kept.remove(run)
            dropped.append(run)

    for lr in rates:
        run_at(lr)
    if _leads(kept, max(rates)):
        # Not further up: in so few steps rates win that are too large for the whole way.
        run_at(2 * kept[0].lr)
    for _ in range(_EXTENSIONS):
        if not _leads(kept, min(run.lr for run in [*kept, *dropped])):
            break
        run_at(kept[0].lr / 2)
    return kept, dropped


def _leads(kept: list[Run], lr: float) -> bool:
    best = kept[0]
    return best.lr == lr > 0 and math.isfinite(best.loss)


def lanes(centre: float, user_lr: float) -> list[float]:
    """Return the rates that race: around the sweep's minimum, and the user's."""
    around = [centre * factor for factor in _LANES]
    apart = [lr for lr in around if not user_lr / CLOSE < lr < user_lr * CLOSE]
    return [user_lr, *apart]


def finish(track: Track, run: Run, steps: int) -> Run:
    """Return the run taken to its whole length; a diverged one stays as it is."""
    left = steps - len(run.losses)
    if run.outcome == "diverged" or run.state is None or left <= 0:
        return run
    rest = track.go(run.lr, left, state=run.state)
    return Run(run.lr, run.losses + rest.losses, rest.outcome, rest.after, rest.state)


def lengthened(track: Track, runs: list[Run], length: int, steps: int) -> list[Run]:
    """Return the runs taken further, equally far, as far as so many steps reach."""
    done = max(len(run.losses) for run in runs)
    reach = min(length, done + max(steps, 0) // len(runs))
    return [finish(track, run, reach) for run in runs] if reach > done else runs
