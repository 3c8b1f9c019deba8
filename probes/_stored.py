"""The batches that runs of the learning rate are trained on and judged by."""

from __future__ import annotations

import math
import time
from statistics import median
from typing import Any

from auditor import batches
from auditor.probe import ProbeContext

# Reading batches may take this part of a probe's time.
_FETCH_SHARE = 0.25
_FIRST_BATCHES = 8


def stored_batches(context: ProbeContext, wanted: int) -> list[Any]:
    """Return up to `wanted` training batches, fewer when the loader is slow."""
    context.batches.train(min(wanted, _FIRST_BATCHES))
    waits = context.batches.training_pass.waits or [0.0]
    known = len(context.batches.training_pass.batches)
    left = max(context.deadline - time.monotonic(), 0.0)
    affordable = known + _FETCH_SHARE * left / max(median(waits), 1e-6)
    if affordable < wanted:
        # Powers of two: what the clock says differs a little from run to run.
        wanted = max(known, 2 ** int(math.log2(max(affordable, 1.0))))
    stored = context.batches.train(wanted)
    if len(stored) > 1 and 2 * batches.length(stored[-1]) < batches.length(stored[0]):
        # The ragged end of an epoch is noisier than the other batches, and breaks batch norm.
        return stored[:-1]
    return stored


def divided(
    stored: list[Any], steps: int, turns: int, judging: int,
) -> tuple[list[Any], list[Any]]:
    """Return the batches to train on and those that judge what was learned.

    Args:
        stored: All that there are, one or more.
        steps: Of a run.
        turns: Thirds by which those to train on are rotated.
        judging: How many judge, at most.
    """
    judges = stored[-min(judging, len(stored)):]
    train = stored[:-len(judges)]
    if len(train) < steps:
        # A run that meets its batches again begins to know them. Others would then judge what the
        # model makes of new data, which is not the rate's doing.
        train = stored
    turn = (turns * len(train)) // 3 % len(train)
    return train[turn:] + train[:turn], judges
