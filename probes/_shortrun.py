"""A short run at the user's own rate in which every step is recorded."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from auditor import batches as batch_tools
from auditor.activity import ActivationStatistics
from auditor.isolation import seeded
from auditor.layergraph import LayerGraph
from auditor.parametertrack import ParameterTrack
from auditor.recorder import watching
from auditor.steprecorder import StepRecorder
from auditor.target import Target
from auditor.trial import Bench
from auditor.usercode import user_code

from ._deadunits import dead_shares
from ._direction import Direction
from ._firstfault import FirstFault
from ._halfrange import HalfRange
from ._histograms import histograms
from ._throughtime import InputGradients, ThroughTime


@dataclass
class Histogram:
    """The distribution of one activation's output at one step."""

    subject: str
    step: int
    edges: list[float]
    counts: list[float]


@dataclass
class ShortRun:
    """What was seen; see the attributes' types for the parts.

    Attributes:
        losses: One per step, before the step's update.
        start: Layers and activations as they hang together, with gradients, before any step.
        end_deltas: Layer name -> norm of the loss's gradient at its output at the last step;
            empty when the time was up before.
        statistics: Of the activations, one value per watched pass.
        dead_at_start, dead_at_end: Subject -> share of rectifier units that never fired.
        dead_samples: Subject -> distinct inputs behind `dead_at_end`.
        track: Gradients and updates of the parameters.
        histograms: Of activations before any step and at the last one.
        half: Of values in float16.
        direction: Of the first update against the gradient.
        through_time: Of recurrent layers, before any step.
        fault_step: First step with a loss or gradient that is not finite; -1 if there is none.
        loss_broke: It was the loss.
        broken_gradients: Parameters whose gradient was not finite while the loss was.
        origin: The operation that broke first, in words.
        steps: Passes in all, in steps.
    """

    start: LayerGraph
    statistics: ActivationStatistics
    track: ParameterTrack
    direction: Direction
    losses: list[float] = field(default_factory=list)
    end_deltas: dict[str, float] = field(default_factory=dict)
    dead_at_start: dict[str, float] = field(default_factory=dict)
    dead_at_end: dict[str, float] = field(default_factory=dict)
    dead_samples: dict[str, int] = field(default_factory=dict)
    through_time: list[ThroughTime] = field(default_factory=list)
    histograms: list[Histogram] = field(default_factory=list)
    half: HalfRange = field(default_factory=HalfRange)
    fault_step: int = -1
    loss_broke: bool = False
    broken_gradients: list[str] = field(default_factory=list)
    origin: str = ""
    steps: int = 0


def short_run(
    target: Target, batches: Sequence[Any], *, steps: int, seed: int, deadline: float,
) -> ShortRun:
    """Train a fresh copy for some steps, and watch it before, on every step and after.

    Args:
        target: What is trained, at its own peak rate with a shortened warm-up.
        batches: Stored training batches, cycled over.
        steps: Optimizer steps.
        seed: Of the copy.
        deadline: `time.monotonic()` after which no step begins.
    """
    with seeded(seed):
        bench = Bench(target)
        run = _begin(bench, batches)
        _take_steps(run, bench, batches, steps, deadline)
        if run.fault_step < 0:
            run.dead_at_end = _dead(run, bench, batches, deadline)
            run.dead_samples = {subject: record.samples
                                for subject, record in run.statistics.records.items()}
    if run.fault_step >= 0:
        run.origin = _origin(target, batches, run, seed)
    return run


def _begin(bench: Bench, batches: Sequence[Any]) -> ShortRun:
    batch = batch_tools.private(batches[0])
    run = ShortRun(LayerGraph(bench.model), ActivationStatistics(batch_tools.length(batch)),
                   ParameterTrack(bench.model), Direction(bench.model))
    inputs = InputGradients(bench.model)
    state = torch.get_rng_state()
    run.statistics.close = True
    with inputs.attached(), watching(bench.model, run.start, run.statistics, run.half):
        loss = bench.loss(batch).loss
    run.start.connect(loss)
    if loss.requires_grad and math.isfinite(float(loss.detach())):
        with user_code("running backward"):
            loss.backward()  # type: ignore[no-untyped-call]
    run.through_time = inputs.results()
    bench.optimizer.zero_grad(set_to_none=True)
    _keep_histograms(run, step=0)
    run.dead_at_start = _dead(run, bench, batches, math.inf)
    torch.set_rng_state(state)
    run.steps += 2
    return run


def _take_steps(
    run: ShortRun, bench: Bench, batches: Sequence[Any], steps: int, deadline: float,
) -> None:
    # What was not computed in half precision at first never is.
    half = (run.half,) if run.half.rows else ()
    recorder = StepRecorder(bench.model, *half, activations=run.statistics, parameters=run.track)
    run.statistics.close = False
    seconds = 0.0
    for step in range(steps):
        begin = time.monotonic()
        if begin > deadline:
            break
        is_last = step == steps - 1 or begin + 2 * seconds > deadline
        if is_last:
            _take_last_step(run, bench, batches[step % len(batches)])
            break
        _step(run, recorder, bench, batches[step % len(batches)])
        if not math.isfinite(run.losses[-1]):
            break
        seconds = max(seconds, time.monotonic() - begin)
    _note_fault(run)


def _take_last_step(run: ShortRun, bench: Bench, stored: Any) -> None:
    """Take a step and look at it more closely than at those before."""
    graph = LayerGraph(bench.model, sizes=False)
    recorder = StepRecorder(bench.model, graph, run.half, activations=run.statistics,
                            parameters=run.track)
    run.statistics.close = True
    _step(run, recorder, bench, stored)
    graph.let_go()
    if math.isfinite(run.losses[-1]):
        run.end_deltas = {use.name: use.delta for use in graph.layers}
        _keep_histograms(run, step=len(run.losses) - 1)


def _step(run: ShortRun, recorder: StepRecorder, bench: Bench, stored: Any) -> None:
    batch = batch_tools.private(stored)
    compute = bench.compute
    bench.compute = recorder.first_of(compute, batch_tools.length(batch))

    def before_update() -> None:
        recorder.before_update()
        run.direction.before_update()

    run.losses.append(bench.step(batch, after_backward=before_update))
    bench.compute = compute
    recorder.after_update()
    run.direction.after_update()
    run.steps += 1


def _note_fault(run: ShortRun) -> None:
    """Find the first step whose loss or gradient is not finite, and forget what came after it."""
    loss = next((i for i, value in enumerate(run.losses) if not math.isfinite(value)), math.inf)
    gradient, names = run.track.first_fault() or (math.inf, [])
    fault = min(loss, gradient)
    if math.isinf(fault):
        return
    run.fault_step, run.loss_broke = int(fault), fault == loss
    run.losses = run.losses[: run.fault_step + 1]
    if not run.loss_broke:
        run.broken_gradients = names


def _dead(
    run: ShortRun, bench: Bench, batches: Sequence[Any], deadline: float,
) -> dict[str, float]:
    """Return the dead share of every rectifier at the present weights, from forward passes."""
    statistics = run.statistics
    rectifiers = [s for s, r in statistics.records.items() if r.activation.family == "rectifier"]
    if not rectifiers:
        return {}
    return dead_shares(statistics, bench, batches, deadline)


def _keep_histograms(run: ShortRun, step: int) -> None:
    known = {subject: record.values for subject, record in run.statistics.records.items()
             if record.values is not None}
    for subject, (edges, counts) in histograms(known).items():
        run.histograms.append(Histogram(subject, step, edges, counts))


def _origin(target: Target, batches: Sequence[Any], run: ShortRun, seed: int) -> str:
    """Replay the run, and watch every call of the step that broke."""
    fault = FirstFault()
    with seeded(seed):
        bench = Bench(target)
        for step in range(run.fault_step):
            bench.step(batch_tools.private(batches[step % len(batches)]))
        batch = batch_tools.private(batches[run.fault_step % len(batches)])
        broken = _broken_weight(bench)
        try:
            with watching(bench.model, fault, everything=True):
                loss = bench.loss(batch).loss
            if not run.loss_broke and loss.requires_grad:
                with user_code("running backward"):
                    loss.backward()  # type: ignore[no-untyped-call]
        finally:
            fault.let_go()
    if not run.loss_broke:
        return fault.backward
    return fault.forward or (broken and f"the optimizer's update of {broken}")


def _broken_weight(bench: Bench) -> str:
    return next((name for name, parameter in bench.model.named_parameters()
                 if not bool(torch.isfinite(parameter).all())), "")
