"""What the batch size does: gradient noise, throughput, memory, and the time spent waiting."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from auditor import batches, task
from auditor.errors import TargetError
from auditor.isolation import seeded
from auditor.losscall import LossCalls
from auditor.observation import Json, Quantity
from auditor.optimizers import scales_linearly
from auditor.probe import Cost, OutOfTime, ProbeContext
from auditor.recorder import watching
from auditor.trial import Bench

from ._memory_use import fixed_bytes, free_bytes, saved_bytes
from ._noise_scale import GradientNoise, microbatches
from ._norms import BatchNorm
from ._samples import size_of
from ._scaling import scaling_trial
from ._throughput import fastest, of_size, throughputs

_POINTS = 3
_STEPS_BETWEEN = 15
_MICRO, _MICRO_COUNT = 8, 24
_MICRO_NORM = 16
# Batch normalisation takes no batch of one.
_TINY = 2
# A larger batch is tried where it brings this gain: as much as its rule asks for by default.
_WORTHWHILE = 1.5
_TRIED = ("scaling_lag", "scaling_lag_p", "scaling_steps", "warmup_pays_p")


class BatchSize:
    """Measures the gradient noise scale, and times batches of other sizes."""

    name: ClassVar[str] = "batch_size"
    says: ClassVar[str] = "measures gradient noise, and the speed and memory of other batch sizes"
    cost: ClassVar[Cost] = Cost(
        steps=130, minimum_steps=30, trains=True, long=True, usual=75)
    yields: ClassVar[tuple[Quantity, ...]] = (
        Quantity("batch_size", "samples", "samples in a batch"),
        Quantity("noise_scale", "samples", "gradient noise scale, after the first steps; the "
                 "lower end of its interval where the gradient is lost in the noise"),
        Quantity("noise_over_batch", "ratio", "lower end of the noise scale over the batch size"),
        Quantity("batch_over_noise", "ratio", "batch size over the upper end of the noise scale"),
        Quantity("steps_per_epoch", "steps", "batches in an epoch"),
        Quantity("memory_share", "share", "predicted peak of a step over the free memory"),
        Quantity("largest_batch", "samples", "samples that fit into the free memory"),
        Quantity("accumulation_steps", "steps", "accumulation that makes up for the rest"),
        Quantity("fastest_batch", "samples",
                 "timed batch size, from the set one on, with the best throughput"),
        Quantity("throughput_gain", "ratio", "its throughput over that at the set size"),
        Quantity("scaled_lr", "", "rate for that size by the scaling rule"),
        Quantity("scaling_rule", "", "linear or square root", kind="text"),
        Quantity("scaling_tried", "", "that size was tried at the scaled rate, with and without "
                 "warm-up; only where it is much faster and below the noise scale", kind="flag"),
        Quantity("scaling_lag", "share", "what it then lacked of what the set size learned from "
                 "the same samples"),
        Quantity("scaling_lag_p", "", "probability of so large a lag by chance"),
        Quantity("scaling_steps", "steps", "of the set size in that trial"),
        Quantity("warmup_pays_p", "", "probability of so large a gain by warm-up by chance"),
        Quantity("loader_wait_share", "share", "time spent waiting for the loader"),
    )
    after: ClassVar[tuple[str, ...]] = ()

    def run(self, context: ProbeContext) -> None:
        """Measure, memory first.

        Raises:
            OutOfTime: Too little time.
            TargetError: The user's code failed.
        """
        first = context.batches.train(1)[0]
        size = batches.length(first)
        context.note.measure("batch_size", size)
        _epoch(context, size)
        _waiting(context)
        with seeded(context.seed):
            bench = Bench(context.target)
            slope = _memory(context, bench, size)
            scale = _noise(context, bench, size)
            faster = _throughput(context, bench, size, slope)
        # Beyond the noise scale no rule holds, and a batch that is hardly faster is not advised.
        if faster is not None and scale > size:
            _scaling(context, size, *faster)
        else:
            context.note.measure("scaling_tried", False)
            context.note.absent("no larger batch is much faster and below the noise scale", *_TRIED)


def _epoch(context: ProbeContext, size: int) -> None:
    opened: Any = context.batches.training_pass
    total = size_of(opened.loader)
    if opened.exhausted:
        context.note.measure("steps_per_epoch", len(opened.batches))
    elif total:
        context.note.measure("steps_per_epoch", -(-total // max(size, 1)))
    else:
        # An endless stream has no epoch that could be short.
        context.note.measure("steps_per_epoch", math.inf)


def _waiting(context: ProbeContext) -> None:
    waits = context.batches.training_pass.waits
    if context.step_seconds > 0 and len(waits) > 1:
        # The first fetch starts the workers.
        wait = sum(waits[1:]) / len(waits[1:])
        context.note.measure("loader_wait_share", wait / (wait + context.step_seconds))


def _memory(context: ProbeContext, bench: Bench, size: int) -> float:
    """Measure what the set batch size takes; return the bytes of one more sample."""
    note, names = context.note, ("memory_share", "largest_batch")
    free = free_bytes(context.target.device)
    small = [of_size(context, n, size) for n in (_TINY, 2 * _TINY)]
    if free is None or any(batch is None for batch in small):
        note.absent("the free memory is not known, or batches cannot be taken apart", *names)
        return 0.0
    try:
        low, high = (saved_bytes(bench, batch) for batch in small)
    except TargetError as problem:
        note.absent(f"the model takes no batch of {_TINY}: {problem.message}", *names)
        return 0.0
    slope = max((high - low) / _TINY, 0.0)
    constant = max(low - slope * _TINY, 0.0) + fixed_bytes(bench)
    note.measure("memory_share", (constant + slope * size) / free)
    largest = int((free - constant) / slope) if slope > 0 else size
    note.measure("largest_batch", max(largest, 0))
    note.measure("accumulation_steps", max(-(-size // max(largest, 1)), 1))
    return slope


def _noise(context: ProbeContext, bench: Bench, size: int) -> float:
    """Measure the gradient noise scale; NaN where it cannot be."""
    names = ("noise_scale", "noise_over_batch", "batch_over_noise")
    reason = _no_noise(context, bench)
    has_norm = any(isinstance(m, BatchNorm) and m.training for m in bench.model.modules())
    wanted = min(_MICRO_NORM if has_norm else _MICRO, size)
    read = context.batches.train(-(-_MICRO_COUNT * wanted // max(size, 1)) + 1)
    micro = [] if reason else microbatches(read, wanted, _MICRO_COUNT)
    if len(micro) < 8:
        context.note.absent(reason or "too few samples", *names)
        return math.nan
    noise = GradientNoise([], [])
    for _ in range(_POINTS):
        context.affordable_steps(_STEPS_BETWEEN)
        for batch in context.batches.cycled(_STEPS_BETWEEN):
            if not math.isfinite(bench.step(batch)):
                context.note.missed("the run diverged", *names)
                return math.nan
            context.note.steps += 1
        noise.add(bench, micro)
        if context.seconds_left() < 0:
            break
    scale, low, high = noise.scale()
    context.note.measure("noise_scale", scale if math.isfinite(scale) else low)
    context.note.measure("noise_over_batch", low / size)
    context.note.measure("batch_over_noise", size / high if high > 0 else math.inf)
    return scale


def _no_noise(context: ProbeContext, bench: Bench) -> str:
    """Return why samples cannot be taken apart; empty when they can."""
    calls, batch = LossCalls(), context.batches.train(1)[0]
    with watching(bench.model, calls):
        bench.loss(batches.private(batch))
    described = task.describe(calls.calls, batches.length(batch))
    if described is not None and described.kind == "metric":
        return "the loss compares samples of a batch with each other"
    return "" if next(batches.tensors_of(batch), None) is not None else "opaque batches"


def _throughput(
    context: ProbeContext, bench: Bench, size: int, slope: float,
) -> tuple[int, float] | None:
    """Return a larger size that is much faster, and its rate; None if there is none."""
    note, rows = context.note, throughputs(context, bench, size, slope)
    speed = dict(rows).get(size)
    if not speed or len(rows) < 2:
        note.absent("batches of other sizes cannot be made", "fastest_batch", "throughput_gain")
        return None
    larger = fastest(rows, size)
    gain = dict(rows)[larger] / speed
    note.measure("fastest_batch", larger)
    note.measure("throughput_gain", gain)
    linear = scales_linearly(bench.optimizer)
    scaled_lr = _scaled(bench.lr, larger / size, linear)
    note.measure("scaling_rule", "linear" if linear else "square root")
    note.measure("scaled_lr", scaled_lr)
    table: list[Json] = [
        {"batch_size": n, "samples_per_second": round(value, 1),
         "memory_mb": round(slope * n / 2**20, 1),
         "lr": _scaled(bench.lr, n / size, linear)}
        for n, value in rows
    ]
    note.table("batch_sizes", table)
    return (larger, scaled_lr) if gain > _WORTHWHILE else None


def _scaling(context: ProbeContext, size: int, larger: int, lr: float) -> None:
    """Try the larger batch at its rate, and write down how it did."""
    note = context.note
    try:
        trial, reason = scaling_trial(context, larger // size, lr), "nothing was learned"
    except OutOfTime as problem:
        trial, reason = None, str(problem)
    note.measure("scaling_tried", trial is not None)
    if trial is None:
        note.missed(reason, *_TRIED)
        return
    note.measure("scaling_lag", trial.lag)
    note.measure("scaling_lag_p", trial.lag_p)
    note.measure("scaling_steps", trial.steps)
    note.measure("warmup_pays_p", trial.warmup_p)
    rows: list[Json] = [
        {"batch_size": n, "lr": rate, "warmup": warm, "steps": steps, "loss": loss}
        for n, rate, warm, steps, loss in (
            (size, trial.user_lr, False, trial.steps, trial.loss),
            (larger, lr, False, trial.steps // trial.factor, trial.scaled),
            (larger, lr, True, trial.steps // trial.factor, trial.warmed))
    ]
    note.table("scaling_trial", rows)


def _scaled(lr: float, factor: float, linear: bool) -> float:
    return float(f"{lr * (factor if linear else math.sqrt(factor)):.2g}")
