"""Did a fix help? A paired comparison of two versions that knows its noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from auditor.counterfactual import SEEDS, Runs
from auditor.finding import TrialOutcome, TrialStatus
from auditor.looks import Look
from auditor.observation import Json

# A gain has to be larger than this many of its standard errors, over judging batches and over
# seeds: by chance alone this happens in 12 of 100 cases with two seeds, in 4 of 100 with four ...
_ERRORS = 2.5
# ... so one of two seeds that is not this many times as large as it must be gets more of them.
_CLEAR = 4.0
# It also has to be worth the change: this part of the loss, or of what a perfect score is ahead.
_LEAST_LOSS = 0.03
_LEAST_OF_MISSING, _LEAST_SCORE = 0.04, 0.01
# Each version lowers its own loss; which one is ahead on the mended one's after few steps may
# depend on how sure of itself the other loss makes a model.
_NOT_COMPARABLE = "both versions learn, at losses that do not compare, and there is no score"
_ON_THE_WAY = {"helps": "it gets there sooner", "harms": "it gets there later"}
# Seeds that have to agree: the first ones all, of more this share.
_AGREE = 0.75


@dataclass(frozen=True)
class Measured:
    """One measure of two versions.

    Attributes:
        name: "loss", "accuracy", "mean recall" or "R2".
        before: At the end, for each seed.
        after: Likewise.
        gain: Mean over seeds and batches; positive is better.
        status: "helps", "no-effect" or "harms" by this measure alone.
        is_clear: The gain is far larger than it has to be.
        is_near: The gain is large enough and the seeds agree, but it varies too much to be sure.
    """

    name: str
    before: tuple[float, ...]
    after: tuple[float, ...]
    gain: float
    status: TrialStatus
    is_clear: bool = False
    is_near: bool = False


def measures(before: Runs, after: Runs, *, same_loss: bool) -> list[Measured]:
    """Return what can be compared: the score, and the loss where it means the same in both."""
    found = []
    if after.score_name and (before.score_name == after.score_name or before.problem):
        old = _padded(before.scores(), after.scores(), 0.0)
        found.append(_measured(after.score_name, old, after.scores(), sign=1,
                               least=_least_score(old)))
    if same_loss or not found:
        old = _padded(before.losses(), after.losses(), math.inf)
        ends = [abs(v) for v in map(fmean, old) if math.isfinite(v)]
        found.append(_measured("loss", old, after.losses(), sign=-1,
                               least=_LEAST_LOSS * (fmean(ends) if ends else 0.0)))
    return found


def verdict(found: Sequence[Measured]) -> TrialStatus:
    """Return the verdict over several measures; where they disagree the first one decides."""
    said = [one.status for one in found if one.status != "no-effect"]
    return said[0] if said else "no-effect"


def on_the_way(before: Runs, after: Runs) -> Measured | None:
    """Return the score over the whole run: on an easy task two versions end alike."""
    if not after.score_name or before.score_name != after.score_name:
        return None
    old = before.scores_on_the_way()
    return _measured(after.score_name, old, after.scores_on_the_way(), sign=1,
                     least=_least_score(old))


def outcome(before: Runs, after: Runs, *, same_loss: bool, steps: int) -> TrialOutcome:
    """Return the verdict with the curves of both versions."""
    if after.problem:
        return TrialOutcome("untried", reason=f"the mended version does not run: {after.problem}")
    status = verdict(measures(before, after, same_loss=same_loss))
    if status == "harms" and not same_loss and not after.score_name and _learns(after):
        return TrialOutcome("untried", reason=_NOT_COMPARABLE)
    reason = f"as it is, the code raises: {before.problem}" if before.problem else ""
    run = on_the_way(before, after) if status == "no-effect" else None
    if run is not None and run.status != "no-effect":
        status, reason = run.status, _ON_THE_WAY[run.status]
    with_loss = same_loss or not after.score_name
    return TrialOutcome(
        status, reason=reason, before=_curves(before, with_loss),
        after=_curves(after, with_loss), steps=steps, seeds=len(after.curves),
    )


def is_open(before: Runs, after: Runs, *, same_loss: bool) -> bool:
    """Tell whether more seeds could show that a fix helps, or that what helped was chance."""
    if after.problem or before.problem:
        return False
    found = measures(before, after, same_loss=same_loss)
    said = verdict(found)
    if said == "no-effect":
        sooner = on_the_way(before, after)
        return any(one.gain > 0 for one in found) or (
            sooner is not None and sooner.status == "helps")
    return said == "helps" and not any(one.is_clear for one in found if one.status == said)


def is_near(before: Runs, after: Runs, *, same_loss: bool) -> bool:
    """Tell whether a gain is large enough on all seeds and varies too much to be sure of it."""
    if after.problem or before.problem:
        return False
    found = measures(before, after, same_loss=same_loss)
    return verdict(found) == "no-effect" and any(one.is_near for one in found)


def gain_of(before: Runs, after: Runs, *, same_loss: bool) -> float:
    """Return how much better `after` is, for ranking: by the first measure."""
    if after.problem:
        return -math.inf
    return measures(before, after, same_loss=same_loss)[0].gain


def _measured(
    name: str, before: Sequence[Sequence[float]], after: Sequence[Sequence[float]], *, sign: int,
    least: float,
) -> Measured:
    gains = [[_difference(b, a, sign) for b, a in zip(*pair, strict=False)]
             for pair in zip(before, after, strict=False)]
    flat = [gain for seed in gains for gain in seed]
    if not flat:
        return Measured(name, (), (), 0.0, "no-effect")
    mean, status = _finite_mean(flat), _status(gains, flat, least)
    return Measured(
        name, tuple(fmean(seed) for seed in before), tuple(fmean(seed) for seed in after), mean,
        status, mean > _CLEAR * least,
        status == "no-effect" and mean > least and _agree(_means(gains), 1))


def _learns(runs: Runs) -> bool:
    return all(fmean(seen[-1].losses) < fmean(seen[0].losses) for seen in runs.looks)


def _status(gains: Sequence[Sequence[float]], flat: Sequence[float], least: float) -> TrialStatus:
    means = _means(gains)
    mean = fmean(means)
    # The batches of one run share its luck, so the runs are compared as well.
    limit = max(least, _ERRORS * _standard_error(flat), _ERRORS * _standard_error(means))
    if mean > limit and _agree(means, 1):
        return "helps"
    return "harms" if mean < -limit and _agree(means, -1) else "no-effect"


def _means(gains: Sequence[Sequence[float]]) -> list[float]:
    return [_finite_mean(seed) for seed in gains]


def _agree(means: Sequence[float], sign: int) -> bool:
    """Tell whether enough seeds point the same way."""
    needed = max(_AGREE * len(means), min(len(means), SEEDS))
    return sum(sign * mean > 0 for mean in means) >= needed


def _standard_error(values: Sequence[float]) -> float:
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return 0.0
    return stdev(values) / math.sqrt(len(values))


def _difference(before: float, after: float, sign: int) -> float:
    # Two infinite losses are equally useless.
    return 0.0 if before == after else sign * (after - before)


def _finite_mean(values: Sequence[float]) -> float:
    up, down = (any(v == limit for v in values) for limit in (math.inf, -math.inf))
    if up and down:
        return 0.0
    return fmean(values)


def _padded(
    values: list[list[float]], like: list[list[float]], worst: float,
) -> list[list[float]]:
    """Return the values, with the worst one for every run that could not be made."""
    return [*values, *([worst] * len(run) for run in like[len(values):])]


def _least_score(before: Sequence[Sequence[float]]) -> float:
    missing = 1.0 - fmean(map(fmean, before)) if before else 1.0
    return max(_LEAST_OF_MISSING * missing, _LEAST_SCORE)


def _curves(runs: Runs, with_loss: bool) -> dict[str, Json]:
    """Return what the judging batches say from before the first step to the end."""
    curves: dict[str, Json] = {}
    for name in (*(("loss",) if with_loss else ()), runs.score_name):
        if name and runs.looks:
            curves[name] = [
                float(f"{fmean(_mean(look, name) for look in looks):.6g}")
                for looks in zip(*runs.looks, strict=False)]
    return curves


def _mean(look: Look, name: str) -> float:
    return fmean(look.losses if name == "loss" else look.scores)
