"""Whether a larger batch at the scaled rate learns as much from the same samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from auditor import batches
from auditor.isolation import seeded
from auditor.probe import OutOfTime, ProbeContext

from ._paired import paired
from ._track import Run, Track

# Steps of the set size in each run, and the fewest that can tell rates apart.
_STEPS, _FEWEST = 32, 24
_SEEDS = 2
_VARIANTS = 3
# Of a run at the larger size; goes up linearly.
_WARMUP_SHARE = 0.3
# The larger batch has to take so many steps, or nothing but its first ones is seen.
_FEWEST_LARGE = 5


@dataclass(frozen=True, slots=True)
class ScalingTrial:
    """What a batch `factor` times as large learned from the same samples, in the same epochs.

    Attributes:
        factor: Of the batch size.
        steps: Taken at the set size; the larger batch takes 1 / factor of them.
        user_lr: The set rate.
        loss: Mean loss on the judging batches at the set size, over seeds.
        scaled: The same at the larger size and the scaled rate.
        warmed: The same with a linear warm-up.
        lag: What the better of these two lacks of what the set size learned; 0 is as good.
        lag_p: How likely so large a lag is by chance (paired over seeds and judging batches).
        warmup_p: How likely the gain by warm-up is by chance.
    """

    factor: int
    steps: int
    user_lr: float
    loss: float
    scaled: float
    warmed: float
    lag: float
    lag_p: float
    warmup_p: float


def scaling_trial(
    context: ProbeContext, factor: int, scaled_lr: float,
) -> ScalingTrial | None:
    """Train at the set size, and at a larger one with and without warm-up, on the same samples.

    The rule (linear for SGD, square root for adaptive optimizers) says that the runs end alike:
    Goyal et al. 2017, section 2.1; Malladi et al. 2022, section 4, for Adam.

    Returns:
        None where batches cannot be joined, or nothing was learned at the set size.

    Raises:
        OutOfTime: Too little time is left for even the shortest trial, or a run was cut short.
        TargetError: The user's code failed.
    """
    per_seed = _VARIANTS * _SEEDS
    fewest = max(_FEWEST, _FEWEST_LARGE * factor)
    affordable = context.affordable_steps(
        max(_STEPS, fewest) * per_seed, minimum=fewest * per_seed)
    steps = affordable // per_seed // factor * factor
    tracks: list[tuple[Track, list[Run]]] = []
    for number in range(_SEEDS):
        with seeded(context.seed):
            track = Track(context, steps, number=number)
            runs = _runs(track, steps, factor, scaled_lr)
        if runs is None:
            return None
        tracks.append((track, runs))
    return _judged(tracks, factor, steps)


def _runs(track: Track, steps: int, factor: int, lr: float) -> list[Run] | None:
    plain = track.go(track.user_lr, steps)
    large = _joined(track, steps, factor)
    if large is None:
        return None
    track.train = large
    count = steps // factor
    warmup = max(round(_WARMUP_SHARE * count), 2)
    runs = [plain, track.go(lr, count, warmup_steps=0), track.go(lr, count, warmup_steps=warmup)]
    if any(run.outcome == "out-of-time" for run in runs):
        # They have not seen the same samples.
        raise OutOfTime("the runs at the two sizes could not be finished")
    return runs


def _joined(track: Track, steps: int, factor: int) -> list[object] | None:
    """Return the batches of the first run, `factor` at a time."""
    order = [track.train[step % len(track.train)] for step in range(steps)]
    joined = [batches.concatenate(order[at : at + factor]) for at in range(0, steps, factor)]
    return None if any(batch is None for batch in joined) else joined


def _judged(
    tracks: Sequence[tuple[Track, list[Run]]], factor: int, steps: int,
) -> ScalingTrial | None:
    plain, scaled, warmed = zip(*(runs for _, runs in tracks), strict=True)
    best = warmed if _mean(warmed) < _mean(scaled) else scaled
    learned = sum(track.reference for track, _ in tracks) / len(tracks) - _mean(plain)
    if not (math.isfinite(learned) and learned > 0):
        return None
    return ScalingTrial(
        factor=factor, steps=steps, user_lr=tracks[0][0].user_lr, loss=_mean(plain),
        scaled=_mean(scaled), warmed=_mean(warmed), lag=(_mean(best) - _mean(plain)) / learned,
        lag_p=paired(_each(best), _each(plain)).p,
        warmup_p=paired(_each(scaled), _each(warmed)).p,
    )


def _mean(runs: Sequence[Run]) -> float:
    return sum(run.loss for run in runs) / len(runs)


def _each(runs: Sequence[Run]) -> list[float]:
    """Return every judging batch's loss of every run; infinite for those that diverged."""
    width = max(len(run.after) for run in runs)
    return [value for run in runs for value in (run.after or (math.inf,) * max(width, 1))]
