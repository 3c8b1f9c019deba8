"""How many steps each part of the learning-rate experiment takes.

Step counts decide, not the clock: the same seed takes the same steps on a busy machine. Only where
the time does not suffice a smaller plan is taken, and the plans lie a factor of about two apart.
The numbers were chosen on the development set-ups of the benchmark, not on those it judges.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from auditor.probe import OutOfTime, ProbeContext


@dataclass(frozen=True)
class Plan:
    """Steps of the parts.

    Attributes:
        total: Of everything together; what does not fit any more is left out.
        points: Of the sweep over seven decades.
        heat: Until the field is thinned out.
        length: Of a whole run.
        long: How far the best runs go where the whole way does not decide.
        compares: The user's rate goes the whole way, too, and is compared with the best one.
        duels: It is compared with one that the sweep proposes, without a race for the best one.
        caution: Part of the winning rate that is suggested: races of 40 steps lean to rates that
            are too large for 300.
    """

    total: int
    points: int
    heat: int
    length: int
    long: int
    compares: bool = True
    duels: bool = False
    caution: float = 1.0

    @property
    def races(self) -> bool:
        """Whether the user's rate is compared with the winner of a race."""
        return self.compares and not self.duels


STANDARD, QUICK = 650, 200
# The first one only proposes a rate.
_PROPOSES = Plan(QUICK, points=28, heat=12, length=40, long=40, compares=False, caution=0.5)
_PLANS = (
    Plan(STANDARD, points=40, heat=12, length=56, long=120),
    Plan(350, points=40, heat=12, length=30, long=60),
    Plan(250, points=14, heat=0, length=30, long=60, duels=True),
    Plan(185, points=14, heat=0, length=30, long=60, duels=True),
)
# A duel alone with all its evaluations, what of it comes after the sweep, and a duel with all of a
# closer look.
MINIMUM, _REST, ENOUGH = 95, 75, _PLANS[-1].total
# Steps take longer than the shortest one that was timed, and a race that is cut short is lost.
_MARGIN = 1.15


def plan_for(context: ProbeContext, steps: int) -> Plan:
    """Return the largest plan of at most `steps` steps that fits into the time.

    Raises:
        OutOfTime: The smallest one does not fit.
    """
    fitting = context.affordable_steps(math.ceil(steps * _MARGIN), minimum=MINIMUM)
    affordable = min(steps, max(int(fitting / _MARGIN), MINIMUM))
    if steps == affordable == QUICK:
        return _PROPOSES
    chosen = next((plan for plan in _PLANS if plan.total <= affordable), _PLANS[-1])
    return replace(chosen, total=min(chosen.total, affordable))


def refitted(plan: Plan, context: ProbeContext, steps: float, seconds: float) -> Plan:
    """Return the plan, or the largest that still fits where steps turn out to be slower.

    Args:
        plan: Of which a part was taken.
        context: Of the probe.
        steps: Of that part.
        seconds: That they took.

    Raises:
        OutOfTime: Not even the smallest one fits.
    """
    fitting = steps + context.seconds_left() * steps / max(seconds, 1e-9)
    if not plan.compares or plan.total <= fitting:
        return plan
    if fitting - steps < _REST:
        raise OutOfTime("the steps are slower than those that were timed at first")
    smaller = next((one for one in _PLANS if one.total <= fitting), _PLANS[-1])
    return replace(smaller, total=min(smaller.total, int(fitting)))


class Purse:
    """The steps that are left of a plan.

    Args:
        context: Of the probe.
        total: Steps of the plan.
        most: Steps that the probe may take, whatever the plan.
        begin: Steps that the probe had taken before.
    """

    def __init__(self, context: ProbeContext, total: int, most: int, begin: int) -> None:
        self._note = context.note
        self._begin, self._end, self._most = begin, begin + total, most

    @property
    def left(self) -> int:
        """Steps that may still be taken."""
        return self._end - self._note.steps

    def take_all(self) -> None:
        """Go beyond the plan, as far as the probe may."""
        self._end = self._begin + self._most

    def make_room(self, steps: int) -> None:
        """Go beyond the plan for so many steps, if it holds fewer and the probe may."""
        self._end = max(self._end, min(self._note.steps + steps, self._begin + self._most))

    def holds(self, steps: int) -> bool:
        """Tell whether so many steps are left."""
        return steps <= self.left
