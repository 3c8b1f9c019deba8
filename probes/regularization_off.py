"""Trains a few steps with and without dropout, and with and without weight decay."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from auditor import batches, functions, task
from auditor.errors import TargetError
from auditor.graphreader import leaves_of
from auditor.innergradients import detached
from auditor.isolation import eagerly, seeded
from auditor.modes import evaluating
from auditor.observation import Quantity
from auditor.probe import Cost, OutOfTime, ProbeContext
from auditor.target import ComputeLoss, LossResult
from auditor.trial import Bench, Changes

from ._evaluate import Evaluation, evaluate
from ._whole import whole_run

_SEEDS = 2
_STEPS = 50
_FEWEST_STEPS = 20
_LOOKED_AT = 4
# From this cost on, three times the limits of the rules, one initialisation will do where there is
# no time for a second.
_CLEAR = 0.3
# Together dropouts of a half may be too much for a net that bears one or two of them.
_NOISY = 3.0
# Below these a trial of so few steps cannot show anything: share dropped, share of the weights
# decayed in a few hundred steps, decay against gradient.
_DROPPED, _DECAYED, _PULLED = 0.6, 0.2, 0.3
_RUN_STEPS = 400
_DECOUPLED = ("adamw", "lamb", "lion", "muon", "adan")


class RegularizationOff:
    """Measures what dropout, decay and penalties cost, where they are strong enough to show."""

    name: ClassVar[str] = "regularization_off"
    says: ClassVar[str] = "short paired runs without dropout and without weight decay"
    cost: ClassVar[Cost] = Cost(steps=6 * _STEPS, trains=True, long=True, usual=15)
    yields: ClassVar[tuple[Quantity, ...]] = (
        Quantity("dropout_cost", "share", "loss with dropout less that without, evaluated in "
                 "eval mode after the same steps, over the loss at the start; mean over seeds"),
        Quantity("dropout_always_costs", "", "so for every seed", kind="flag"),
        Quantity("decay_cost", "share", "loss with weight decay less that without, likewise; 0 "
                 "where the decay is too weak to show"),
        Quantity("decay_always_costs", "", "so for every seed", kind="flag"),
        Quantity("weight_decay", "", "largest weight decay of the optimizer"),
        Quantity("penalty_share", "share", "part of the training loss that does not hang on the "
                 "data, before or after the steps, the larger one"),
        Quantity("penalised_level", "share", "data loss after the steps; 1 is the uninformed "
                 "loss"),
    )
    after: ClassVar[tuple[str, ...]] = ("regularization",)

    def run(self, context: ProbeContext) -> None:
        """Measure the pairs that can show something.

        Raises:
            OutOfTime: Too little time.
            TargetError: The user's code failed.
        """
        self._dropout(context)
        self._decay(context)
        self._penalty(context)

    def _dropout(self, context: ProbeContext) -> None:
        highest = max((float(m.value) for o in context.earlier.values() for m in o.measurements
                       if m.name == "dropout_p"), default=0.0)
        if highest < _DROPPED and not context.number("dropout_noise") >= _NOISY:
            context.note.absent("nothing, or little, is dropped", "dropout_cost",
                                "dropout_always_costs")
            return
        without = Changes(dropout=0.0, compute=_WithoutDropout(context.target.compute))
        _compare(context, without, "dropout_cost", "dropout_always_costs")

    def _decay(self, context: ProbeContext) -> None:
        with seeded(context.seed):
            bench = Bench(context.target)
            decay = max(float(g.get("weight_decay") or 0.0) for g in bench.optimizer.param_groups)
            shows = decay > 0 and _can_show(context, bench)
        context.note.measure("weight_decay", decay)
        if shows:
            _compare(context, Changes(weight_decay=0.0), "decay_cost", "decay_always_costs")
        else:
            context.note.measure("decay_cost", 0.0)
            context.note.measure("decay_always_costs", False)

    def _penalty(self, context: ProbeContext) -> None:
        with seeded(context.seed):
            bench = Bench(context.target)
            looked_at = context.batches.train(_LOOKED_AT)
            share = _penalty_share(evaluate(bench, looked_at, context.seed))
            level = 0.0
            if share > 0 and not _has_penalty(context, bench, looked_at[0]):
                share = 0.0
            if share > 0:
                steps = context.affordable_steps(_STEPS, minimum=_FEWEST_STEPS)
                whole_run(context, bench, steps)
                after = evaluate(bench, looked_at, context.seed, keep=True)
                # A penalty that has won is small: there are no weights left to count.
                share, level = max(share, _penalty_share(after)), _level(after)
        context.note.measure("penalty_share", share)
        context.note.measure("penalised_level", level)


class _WithoutDropout(TorchFunctionMode):
    """Runs a forward pass in which every dropout call gives its input back."""

    def __init__(self, compute: ComputeLoss) -> None:
        super().__init__()
        self._compute = compute

    def __call__(self, model: nn.Module, batch: Any) -> LossResult:
        with self:
            return self._compute(model, batch)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in functions.DROPOUTS:
            return args[0] if args else kwargs["input"]
        return func(*args, **kwargs)


def _compare(context: ProbeContext, without: Changes, cost: str, always: str) -> None:
    """Measure what a regulariser costs on training samples, paired by seed.

    Raises:
        OutOfTime: One pair at most fits, and it differs by too little to tell.
    """
    affordable = context.affordable_steps(2 * _SEEDS * _STEPS, minimum=2 * _FEWEST_STEPS)
    pairs = min(_SEEDS, affordable // (2 * _FEWEST_STEPS))
    looked_at = context.batches.train(_LOOKED_AT)
    costs: list[float] = []
    for number in range(pairs):
        try:
            costs.append(_pair(
                context, without, context.seed + number, affordable // (2 * pairs), looked_at))
        except OutOfTime:
            if not costs:
                raise
            break
    if len(costs) < _SEEDS and costs[0] < _CLEAR:
        raise OutOfTime("one pair of runs tells too little, and there was no time for a second")
    context.note.measure(cost, sum(costs) / len(costs), samples=len(costs))
    context.note.measure(always, all(value > 0 for value in costs))


def _pair(
    context: ProbeContext, without: Changes, seed: int, steps: int, looked_at: Sequence[Any],
) -> float:
    """Return what a regulariser costs on one initialisation."""
    ends = []
    for changes in (Changes(), without):
        with seeded(seed):
            bench = Bench(context.target, changes)
            start = evaluate(bench, looked_at, context.seed).loss
            whole_run(context, bench, steps)
            ends.append(evaluate(bench, looked_at, context.seed).loss)
    return _cost(ends[0], ends[1], start)


def _cost(with_it: float, without: float, start: float) -> float:
    # At a rate that learns nothing either way, it is chance which of the two ends higher.
    if not without < start:
        return 0.0
    difference = (with_it - without) / max(abs(start), 1e-12)
    return min(difference, 1.0) if math.isfinite(difference) else 1.0


def _can_show(context: ProbeContext, bench: Bench) -> bool:
    """Tell whether the decay moves the weights enough within a few hundred steps."""
    decoupled = any(name in type(bench.optimizer).__name__.lower() for name in _DECOUPLED)
    bench.backward(next(context.batches.cycled(1)))
    context.note.steps += 1
    for group in bench.optimizer.param_groups:
        decay = float(group.get("weight_decay") or 0.0)
        if decoupled or group.get("decoupled_weight_decay"):
            if decay * float(group["lr"]) * _RUN_STEPS > _DECAYED:
                return True
            continue
        weights = [p for p in group["params"] if p.grad is not None and not p.grad.is_sparse]
        pull = sum(float((decay * p.detach()).square().sum()) for p in weights)
        gradient = sum(float(p.grad.square().sum()) for p in weights)
        if pull > _PULLED**2 * gradient:
            return True
    return False


def _penalty_share(found: Evaluation) -> float:
    """Return the part of the loss beside its main call; 0 where that cannot be told."""
    values = [value for value in found.values if value is not None]
    if not values or len(values) != len(found.values) or not math.isfinite(found.loss):
        return 0.0
    rest = found.loss - sum(values) / len(values)
    return rest / found.loss if found.loss > 0 and rest > 1e-3 * found.loss else 0.0


def _has_penalty(context: ProbeContext, bench: Bench, batch: Any) -> bool:
    """Tell whether the loss reaches the weights on another way than through the model's outputs.

    A second term of the data, Dice beside cross-entropy, does not. A loss that takes gradients of
    the output (physics, forces) cannot do without its graph: there it cannot be told, which is
    noted.
    """
    if any(isinstance(module, torch.jit.ScriptModule) for module in bench.model.modules()):
        return False  # they take no hooks, so that outputs cannot be cut off
    try:
        with _cut_off(bench.model) as seen, evaluating(bench.model), eagerly(), \
                torch.enable_grad():
            loss = bench.loss(batches.private(batch)).loss
    except TargetError:
        context.note.note("Whether the loss holds a penalty on the weights is not known: it fails "
                          "where the outputs of the model have no graph.")
        return False
    if not all(seen):
        return False  # behind an object, such as a distribution, the graph goes on
    reached = leaves_of(loss)
    # Vectors and numbers that a loss reaches by itself are its own: temperatures, learned weights.
    return bool(seen) and any(p.dim() > 1 and id(p) in reached for p in bench.model.parameters())


@contextmanager
def _cut_off(model: nn.Module) -> Iterator[list[bool]]:
    """Take the graph off what comes out of the model, or of those parts that the step calls.

    Yields:
        For each of these calls whether all of its output could be cut off.
    """
    inside: list[nn.Module] = []
    seen: list[bool] = []

    def enter(module: nn.Module, args: Any) -> None:
        inside.append(module)

    def leave(module: nn.Module, args: Any, output: Any) -> Any:
        inside.pop()
        if inside:
            return None
        seen.append(all(leaf is None or isinstance(leaf, (Tensor, int, float, str))
                        for leaf in tree_leaves(output)))
        return detached(output)

    handles = [handle for module in model.modules() for handle in (
        module.register_forward_pre_hook(enter), module.register_forward_hook(leave))]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _level(found: Evaluation) -> float:
    top = task.uninformed_loss(found.calls)
    values = [value for value in found.values if value is not None]
    if top is None or top <= 0 or not values:
        return 0.0
    return sum(values) / len(values) / top

