"""The user's rate against the best one: a closer look where the race gives a reason for it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from auditor.probe import ProbeContext

from ._deadunits import died_of_the_rate
from ._race import BARELY, Race, lengthened
from ._rate_plan import Plan, Purse
from ._track import Track
from ._trials import LOOK, Comparison, compare, hurried, in_a_hurry, warm_up

# The closer look is taken when the user's run ends this far behind and the rates differ this much.
_BEHIND = 0.3
_APART = 2.0
_FAR_APART = 5.0
# Not half way: the leaders of the race go on, so that the suggestion does not rest on its start.
_HALF_WAY = 0.5
# Or when it has killed this part of a layer that the best rate leaves alive.
_KILLED = 0.25
# One trial is enough where it learned this little of it, with and without a warm-up, at a rate that
# is far above: of 109 healthy set-ups one has such a rate, and learns.
_NOTHING = 0.9
# So far above a rate that learns, and this far beyond what the sweep bears, no warm-up helps: the
# sweep is one itself.
_OUT_OF_REACH, _BEYOND = 100.0, 2.0
# Where even the best rate has only begun, one that learns nothing with a warm-up either is told
# from here on: of some 250 healthy set-ups none is farther above than ten times.
_BEYOND_ANY = 20.0
# Below, it has to be this far: conservative rates learn little in a short trial.
_FAR_BELOW = 0.002
# A loss that first rises by more than what could be learned may do with a warm-up. Healthy set-ups
# rise by up to 0.92 of it.
_JOLT = 1.0
# What a rate has learned, relative to the best one, to take its place.
_CLEARLY_MORE = 1.2
# A loss this far above what is unbearable does not come back in a longer trial.
_LOST = 10.0
_NO_TIME = "there was no time to take both rates equally far"
# Further initialisations: a rate that is too low fails alike on all of them.
_TRACKS_ABOVE, _TRACKS_BELOW = 2, 1


@dataclass
class CloserLook:
    """What is known of the user's rate.

    Attributes:
        found: The comparison so far.
        progress: What the user's rate learns in an epoch, relative to a trial at the best one.
        missing: Why the rates were not compared on further seeds although they should have been.
    """

    found: Comparison
    progress: float = 1.0
    missing: str = ""


def decide(
    context: ProbeContext, track: Track, raced: Race, plan: Plan, purse: Purse,
) -> None:
    """Let the leaders of a race that is far from its end go on, if the steps suffice.

    Args:
        context: Of the probe.
        track: Of the race.
        raced: Takes their longer runs.
        plan: How far they go.
        purse: What is left; the closer looks that are going to be taken come first.
    """
    if track.share_learned(raced.lowest) < _HALF_WAY:
        found = _first_pair(context, track, raced)
        reserved = _reserved(found, raced, plan) if plan.compares else 0
        steps = purse.left - 2 * LOOK - reserved
        raced.further = lengthened(track, raced.leaders, plan.long, steps)


def closer_look(
    context: ProbeContext, track: Track, raced: Race, plan: Plan, purse: Purse, epoch: int,
    bearable: float,
) -> CloserLook:
    """Compare the user's rate with the best one, on further seeds if there is a reason.

    Where the best rate has only begun to learn, the race is lengthened before a rate above it is
    looked at: the high rate may be the one that gets through.

    Args:
        context: Of the probe.
        track: Of the race.
        raced: Its finalists are replaced where they are lengthened.
        plan: Steps of a run.
        purse: What is left.
        epoch: Steps of an epoch.
        bearable: The largest rate at which the loss of the sweep was below its start.
    """
    look = CloserLook(_first_pair(context, track, raced))
    lost = raced.user.outcome == "diverged" or raced.user.loss > _LOST * track.unbearable
    if lost and _ratio(raced) >= _FAR_APART and not plan.races:
        # That shows within few steps, for which such plans have no room.
        purse.take_all()
    elif plan.duels and look.found.blown[0]:
        # What has blown up and learns nothing with a warm-up either needs no second look.
        purse.make_room(_warm_steps(plan))
    elif not plan.compares:
        look.missing = f"trials of {plan.length} steps and fewer are too short to compare rates"
    if look.missing:
        return look
    if not _is_called_for(look.found, raced):
        if look.found.jolt > _JOLT and purse.holds(_warm_steps(plan)):
            warm_up(track, raced.best, plan.length, look.found)
        return look
    above = _ratio(raced) > 1
    if above and not look.found.blown[0] and track.share_learned(raced.lowest) < BARELY:
        return _longer(context, track, raced, plan, purse)
    if above:
        tried = purse.holds(_warm_steps(plan)) and warm_up(
            track, raced.best, plan.length, look.found)
    elif _ratio(raced) >= 1 / _FAR_APART:
        return look
    else:
        tried = _looks_at_an_epoch(context, look, track, raced, plan, purse, epoch)
        if tried and look.progress >= 1:
            return look
    tracks = min(_TRACKS_ABOVE if above else _TRACKS_BELOW, purse.left // (2 * plan.length))
    compare(context, raced.best.lr, plan.length, look.found, tracks)
    is_told = tried and (len(look.found.gaps) > 1 or _is_hopeless(look.found, raced))
    if not (is_told or _is_out_of_reach(look.found, raced, bearable)):
        look.missing = "the rates could not be compared on further seeds within the steps and time"
    return look


def look_by_heart(
    track: Track, raced: Race, before: CloserLook, steps: int, epoch: int,
) -> CloserLook:
    """Compare the runs of a tiny subset.

    Where the user's rate is far above, it is tried with a warm-up too; where it is far below, it
    is asked what it learns in an epoch, and on a further initialisation.

    Args:
        track: Of the subset.
        raced: The runs.
        before: The look at the race.
        steps: Of a run that was not taken further.
        epoch: Steps of an epoch.
    """
    look = CloserLook(Comparison([], [], [], [], []), before.progress, before.missing)
    # What goes with the two runs goes as far as they do.
    steps = max(steps, len(raced.best.losses))
    look.found.add(track, raced.user, raced.best)
    look.found.jolt = track.jolt(raced.user)
    if any(run.outcome == "out-of-time" for run in raced.finalists):
        look.missing = _NO_TIME
    elif _ratio(raced) >= _FAR_APART:
        far = look.found.gaps[0] >= _NOTHING and _ratio(raced) >= _OUT_OF_REACH
        tried = warm_up(track, raced.best, steps, look.found)
        look.missing = "" if tried or far else "there was no time to try your rate with a warm-up"
    elif _ratio(raced) <= 1 / _FAR_APART and hurried(track, steps, epoch) < raced.best.lr:
        run = in_a_hurry(track, steps, epoch)
        look.progress = 1.0 - track.gap(run, raced.best)
        look.missing = _NO_TIME if run.outcome == "out-of-time" else ""
        if look.progress < 1:
            compare(track.context, raced.best.lr, steps, look.found, _TRACKS_BELOW, track.train[0])
    return look


def _looks_at_an_epoch(
    context: ProbeContext, look: CloserLook, track: Track, raced: Race, plan: Plan, purse: Purse,
    epoch: int,
) -> bool:
    """Measure what the user's rate learns in an epoch; return False where there is no time.

    A rate that is the best one or more by then can learn as well, without a run. Where the epoch
    clearly learns more than the best rate, that was not the best one: the rate of the epoch joins
    the race, with the one in the middle between both, and all is told relative to the winner.
    """
    if hurried(track, plan.length, epoch) >= raced.best.lr:
        return True
    if not purse.holds(plan.length):
        return False
    run = in_a_hurry(track, plan.length, epoch)
    if run.outcome == "out-of-time":
        return False
    look.progress = 1.0 - track.gap(run, raced.best)
    surpasses = look.progress > _CLEARLY_MORE and not track.bench.schedule.warms_up
    if surpasses and purse.holds(plan.length):
        middle = track.go(math.sqrt(run.lr * raced.best.lr), plan.length, patient=False)
        if middle.outcome == "out-of-time":
            return True
        raced.join([run, middle])
        look.found = _first_pair(context, track, raced)
        look.progress = 1.0 - track.gap(run, raced.best)
    return True


def _longer(
    context: ProbeContext, track: Track, raced: Race, plan: Plan, purse: Purse,
) -> CloserLook:
    """Compare longer runs, and one with a warm-up where the high rate stays behind."""
    steps = purse.left - LOOK - _warm_steps(plan)
    raced.replace(lengthened(track, raced.finalists, plan.long, steps))
    look = CloserLook(_first_pair(context, track, raced))
    if not _is_called_for(look.found, raced):
        return look
    tried = purse.holds(_warm_steps(plan)) and warm_up(track, raced.best, plan.length, look.found)
    is_cured = tried and look.found.warm_gaps[0] <= _BEHIND
    is_hopeless = _ratio(raced) >= _BEYOND_ANY and _is_hopeless(look.found, raced)
    if not (is_cured or is_hopeless):
        look.missing = "no rate learns enough in a short trial to compare them on further seeds"
    return look


def _first_pair(context: ProbeContext, track: Track, raced: Race) -> Comparison:
    found = Comparison([], [], [], [], [])
    found.add(track, raced.user, raced.best)
    found.jolt = track.jolt(raced.user)
    if _ratio(raced) >= _APART:
        found.died = died_of_the_rate(context, track, raced.user, raced.best)
    return found


def _is_called_for(found: Comparison, raced: Race) -> bool:
    behind = found.gaps[0] > _BEHIND or found.blown[0] or found.died > _KILLED
    return behind and not 1 / _APART < _ratio(raced) < _APART


def _is_hopeless(found: Comparison, raced: Race) -> bool:
    """Tell whether a rate that is far off learned nothing; one too high with a warm-up neither."""
    if found.gaps[0] < _NOTHING:
        return False
    if _ratio(raced) <= _FAR_BELOW:
        return True
    warm = found.warm_gaps
    return _ratio(raced) >= _FAR_APART and bool(warm) and warm[0] >= _NOTHING


def _is_out_of_reach(found: Comparison, raced: Race, bearable: float) -> bool:
    return (found.gaps[0] >= _NOTHING and _ratio(raced) >= _OUT_OF_REACH
            and raced.user.lr >= _BEYOND * bearable)


def _reserved(found: Comparison, raced: Race, plan: Plan) -> int:
    """Return the steps that a closer look is going to take."""
    if not _is_called_for(found, raced):
        return 0
    if _ratio(raced) > 1:
        return _warm_steps(plan) + 2 * plan.length * _TRACKS_ABOVE
    return plan.length + 2 * plan.length * _TRACKS_BELOW


def _warm_steps(plan: Plan) -> int:
    return plan.length // 2 + plan.length


def _ratio(raced: Race) -> float:
    return raced.user.lr / raced.best.lr if raced.best.lr else math.inf
