"""Ratios inside one process: variants take turns in random order, each against the plain step.

On a CPU the clock is the process's CPU time at one thread, which other programs disturb least; on
other devices it is wall time around a synchronisation. "plain again" shows what is noise.
"""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

PLAIN, AGAIN = "plain", "plain again"
_FEWEST_ROUNDS = 7
_MOST_ROUNDS = 200
_BLOCK_SECONDS = 0.03
_FEW = 3
_DRAWS = 500


@dataclass(frozen=True)
class Ratio:
    """Cost of a variant over that of the plain step: median over rounds, 95 % interval of it."""

    median: float
    low: float
    high: float
    milliseconds: float
    rounds: int

    def __str__(self) -> str:
        """As in a table."""
        return f"{self.median:.3f} [{self.low:.3f}, {self.high:.3f}]"


def clock(device: str) -> Callable[[], float]:
    """Return the clock for a device."""
    if device == "cpu":
        return time.process_time

    def synchronised() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    return synchronised


def interleaved(
    variants: Mapping[str, Callable[[], None]], *, seconds: float, device: str = "cpu",
) -> dict[str, Ratio]:
    """Time the variants, one of which is `PLAIN`, for about so many seconds.

    A variant is called in blocks of several steps; the first round warms up and does not count.
    """
    now = clock(device)
    variants = {**variants, AGAIN: variants[PLAIN]}
    times: dict[str, list[float]] = {name: [] for name in variants}
    calls = _calls_of_a_block(variants[PLAIN], now)
    order, shuffled = list(variants), random.Random(0)
    end = time.monotonic() + seconds
    gc.collect()
    gc.disable()
    try:
        while len(times[PLAIN]) <= _MOST_ROUNDS and (
                time.monotonic() < end or len(times[PLAIN]) <= _FEWEST_ROUNDS):
            shuffled.shuffle(order)
            for name in order:
                begin = now()
                for _ in range(calls):
                    variants[name]()
                times[name].append((now() - begin) / calls)
    finally:
        gc.enable()
    plain = times[PLAIN][1:]
    return {name: _ratio(found[1:], plain) for name, found in times.items()}


def alone(
    step: Callable[[], None], plain: Callable[[], None], *, device: str = "cpu",
) -> Ratio:
    """Time a few steps after as many plain ones; the interval is from the least to the most."""
    now = clock(device)
    times: list[list[float]] = []
    for call in (plain, step):
        times.append([])
        for _ in range(_FEW):
            begin = now()
            call()
            times[-1].append(now() - begin)
    usual, (least, middle, most) = statistics.median(times[0]), sorted(times[1])
    return Ratio(middle / usual, least / usual, most / usual, 1e3 * middle, _FEW)


def _calls_of_a_block(step: Callable[[], None], now: Callable[[], float]) -> int:
    step()
    begin = now()
    step()
    return max(1, min(10, int(_BLOCK_SECONDS / max(now() - begin, 1e-6))))


def _ratio(times: list[float], plain: list[float]) -> Ratio:
    ratios = [mine / other for mine, other in zip(times, plain, strict=True)]
    drawn = random.Random(0)
    medians = sorted(
        statistics.median(drawn.choices(ratios, k=len(ratios))) for _ in range(_DRAWS))
    return Ratio(statistics.median(ratios), medians[int(0.025 * _DRAWS)],
                 medians[int(0.975 * _DRAWS)], 1e3 * statistics.median(times), len(ratios))
