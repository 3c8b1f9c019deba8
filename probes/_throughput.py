"""How many samples per second batches of several sizes let a model train on."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

from auditor import batches
from auditor.errors import TargetError
from auditor.probe import ProbeContext
from auditor.trial import Bench

from ._memory_use import free_bytes

_FACTORS = (0.25, 0.5, 1, 2, 4, 8)
_TIMED = 4
_SLOWEST = 1.0
# Of the free memory that a timed batch may take.
_ROOM = 0.3
# Larger batches, which take more memory, are timed while they promise this gain in throughput.
_PROMISE = 1.25
# The smallest size is taken that is nearly as fast as the fastest one.
_NEARLY = 0.9


def throughputs(
    context: ProbeContext, bench: Bench, size: int, sample_bytes: float,
) -> list[tuple[int, float]]:
    """Time steps of other batch sizes, smallest first, while memory and time allow.

    Larger ones than the set one are left out where they promise no gain. Where one has a gain, the
    set size and that one are timed once more: a machine that was busy for a moment is no gain.

    Args:
        context: Of the probe.
        bench: Takes the steps.
        size: The set batch size.
        sample_bytes: What one more sample in a batch takes.

    Returns:
        Sizes with their samples per second.
    """
    rows: dict[int, float] = {}
    free = free_bytes(context.target.device) or 0
    sizes = sorted({max(int(size * f), 1) for f in _FACTORS})
    for wanted in sizes:
        if wanted > size and _promised(list(rows.items()), sizes[-1]) < _PROMISE:
            break
        too_large = free and sample_bytes * wanted > _ROOM * free
        batch = None if too_large else of_size(context, wanted, size)
        if batch is None or context.seconds_left() < 0:
            break
        try:
            rows[wanted] = _timed(context, bench, batch, wanted)
        except TargetError:
            # Some models take no batch of one, or only the size that they were made for.
            continue
        if wanted / rows[wanted] > _SLOWEST:
            break
    _time_again(context, bench, size, rows)
    return list(rows.items())


def fastest(rows: Sequence[tuple[int, float]], size: int) -> int:
    """Return the smallest size, from the set one on, that is nearly as fast as the fastest."""
    larger = [(n, speed) for n, speed in rows if n >= size]
    top = max(speed for _, speed in larger)
    return next(n for n, speed in larger if speed >= _NEARLY * top)


def of_size(context: ProbeContext, wanted: int, size: int) -> Any | None:
    """Return a batch of a size, cut from or joined of the stored ones; None if impossible."""
    read = context.batches.train(-(-wanted // size))
    joined = batches.concatenate(read)
    if joined is None or batches.length(joined) < wanted:
        return None
    return batches.select(joined, list(range(wanted)))


def _time_again(context: ProbeContext, bench: Bench, size: int, rows: dict[int, float]) -> None:
    if size not in rows:
        return
    best = fastest(list(rows.items()), size)
    if rows[best] <= _PROMISE * rows[size] or context.seconds_left() < 0:
        return
    for again in (size, best):
        batch = of_size(context, again, size)
        rows[again] = max(rows[again], _timed(context, bench, batch, again))


def _timed(context: ProbeContext, bench: Bench, batch: Any, length: int) -> float:
    speed = length / _seconds(bench, batch)
    context.note.steps += _TIMED
    return speed


def _promised(rows: Sequence[tuple[int, float]], largest: int) -> float:
    """Return the throughput at the largest size over the last one, by a straight line in time."""
    if len(rows) < 2:
        return math.inf
    (before, _), (last, speed) = rows[-2:]
    seconds = [n / value for n, value in rows[-2:]]
    each = (seconds[1] - seconds[0]) / (last - before)
    predicted = seconds[1] + each * (largest - last)
    return largest / predicted / speed if predicted > 0 else math.inf


def _seconds(bench: Bench, batch: Any) -> float:
    """Return the shortest of a few timed steps."""
    times = []
    for _ in range(_TIMED):
        copied = batches.private(batch)
        begin = time.perf_counter()
        bench.step(copied)
        times.append(time.perf_counter() - begin)
    return max(min(times), 1e-9)
