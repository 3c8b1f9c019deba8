"""Which rectifier units fire for no input at the present weights."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch

from auditor import batches as batch_tools
from auditor.activity import ActivationStatistics
from auditor.probe import ProbeContext
from auditor.recorder import watching
from auditor.trial import Bench

from ._track import Run, Track

# A unit that fires for one input in a hundred shows up in this many (bound 1e-3).
DISTINCT_INPUTS = 700
_MOST_PASSES = 16


def dead_shares(
    statistics: ActivationStatistics, bench: Bench, batches: Sequence[Any], deadline: float,
) -> dict[str, float]:
    """Return the dead share of every rectifier, from forward passes over distinct inputs.

    Args:
        statistics: Forgets the units that it has seen firing before.
        bench: With the model as it is now.
        batches: Stored ones, seen one after the other until there are inputs enough.
        deadline: `time.monotonic()` after which no further pass begins.
    """
    statistics.forget()
    statistics.only_alive = statistics.peaks = statistics.layouts = True
    seen = 0
    with torch.no_grad():
        for stored in batches[:_MOST_PASSES]:
            batch = batch_tools.private(stored)
            statistics.batch_size = batch_tools.length(batch)
            with watching(bench.model, statistics):
                bench.loss(batch)
            seen += statistics.batch_size
            if seen >= DISTINCT_INPUTS or time.monotonic() > deadline:
                break
    statistics.only_alive = False
    return statistics.dead_shares()


def died_of_the_rate(context: ProbeContext, track: Track, user: Run, best: Run) -> float:
    """Return the share of a layer's units that one run kills and another one leaves alive.

    The largest over the rectifiers of which the short run before found units to die; both runs are
    asked on the same inputs. 0 where there is no such layer, or a run has not left its weights.

    Args:
        context: Holds what the short run found.
        track: Of both runs.
        user: The run that may have killed them.
        best: The run at another rate.
    """
    found = _died_before(context)
    if not found or user.state is None or best.state is None:
        return 0.0
    statistics = ActivationStatistics(batch_tools.length(track.train[0]))
    shares = []
    for state in (user.state, best.state):
        track.begin()
        track.bench.restore(state)
        shares.append(dead_shares(statistics, track.bench, track.train, context.deadline))
    return max([0.0, *(shares[0][layer] - shares[1][layer] for layer in found
                       if layer in shares[0] and layer in shares[1])])


def _died_before(context: ProbeContext) -> list[str]:
    """Return the rectifiers with more dead units after the short run than before it."""
    measured = [one for seen in context.earlier.values() for one in seen.measurements]
    start = {one.subject: float(one.value) for one in measured
             if one.name == "dead_share_at_start"}
    return [one.subject for one in measured
            if one.name == "dead_share" and float(one.value) > start.get(one.subject, 1.0)]
