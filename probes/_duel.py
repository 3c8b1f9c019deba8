"""The user's rate against a single other one: for when there is no time for a race."""

from __future__ import annotations

from ._race import CLOSE, HARDLY, Race
from ._rate_plan import Plan, Purse
from ._sweep import Sweep
from ._track import Track

# Relative to the rate at the sweep's minimum: in the middle of the lanes of a race; and where that
# learns nothing either, well below all of them.
_OTHER, _LOWER = 1 / 8, 1 / 128


def duel(track: Track, swept: Sweep, plan: Plan, purse: Purse) -> Race:
    """Let the user's rate run beside the one that the sweep proposes, both the whole way.

    It tells whether the user's rate is far from one that learns, and not which one is best.

    Args:
        track: Where; both see the same batches.
        swept: Proposes the other rate.
        plan: Steps of the whole way.
        purse: What is left of the plan.
    """
    centre = swept.rates[swept.best]
    user = track.go(track.user_lr, plan.length)
    runs = [user]
    for lr in (centre * _OTHER, centre * _LOWER):
        is_new = not user.lr / CLOSE < lr < user.lr * CLOSE
        if is_new and (len(runs) == 1 or purse.holds(plan.length)):
            runs.append(track.go(lr, plan.length, patient=False))
        if any(track.share_learned(run) >= HARDLY for run in runs[1:]):
            break
    runs.sort(key=lambda run: run.lr)
    return Race(runs, user, track.reference, track.whole)
