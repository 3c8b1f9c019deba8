"""Regularising layers: what stands before normalisation, stale statistics, what decay acts on."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from auditor import batches
from auditor.isolation import seeded
from auditor.observation import Quantity
from auditor.probe import Cost, ProbeContext
from auditor.recorder import watching
from auditor.trial import Bench

from ._norms import BatchNorm, BatchStatistics, BeforeNorms, Statistics, staleness
from ._samples import size_of

_STEPS = 40
_FEWEST_STEPS = 8
_PASSES = 6
# Dropouts that count together, and what is taken for one that drops nearly all.
_STRONG, _NEARLY_ALL = 0.3, 0.99
# Taken for the steps of an epoch where the loader does not say.
_USUAL_EPOCH = 1000
_NORMS = (BatchNorm, nn.LayerNorm, nn.GroupNorm, nn.modules.instancenorm._InstanceNorm)


class Regularization:
    """Looks at regularising layers in a forward pass and after a few steps."""

    name: ClassVar[str] = "regularization"
    says: ClassVar[str] = "looks at normalisation, dropout and weight decay"
    cost: ClassVar[Cost] = Cost(
        steps=_STEPS + _PASSES, minimum_steps=1, trains=True, usual=2)
    yields: ClassVar[tuple[Quantity, ...]] = (
        Quantity("bias_cancelled", "", "the bias is cancelled by the normalisation right after "
                 "the layer", "layer", "flag"),
        Quantity("dropout_before_norm", "", "dropout stands right before the batch "
                 "normalisation", "layer", "flag"),
        Quantity("batchnorm_values", "", "values per channel in a training batch", "layer"),
        Quantity("batchnorm_last_values", "", "values per channel in the last batch of an epoch",
                 "layer"),
        Quantity("last_batch_size", "samples", "samples in the last batch of an epoch"),
        Quantity("dropout_p", "share", "probability with which values are dropped", "layer"),
        Quantity("dropout_noise", "", "variance that all dropouts of 0.3 and more add to a signal "
                 "that goes through them, p / (1 - p) each, over that of the signal"),
        Quantity("statistics_staleness", "", "distance of the running statistics from the "
                 "data's after the steps, in standard deviations or logarithms", "layer"),
        Quantity("statistics_horizon", "epochs", "epochs that the running statistics look back, "
                 "1 / momentum steps", "layer"),
        Quantity("statistics_momentum", "", "momentum of the running statistics", "layer"),
        Quantity("decay_on_small", "", "weight decay of a bias, gain or embedding; 0 where it is "
                 "the optimizer's default", "parameter"),
        Quantity("decay_groups_code", "", "parameter groups as code", kind="text"),
    )
    after: ClassVar[tuple[str, ...]] = ()

    def run(self, context: ProbeContext) -> None:
        """Measure the layers, then let the running statistics run for some steps.

        Raises:
            TargetError: The user's code failed.
        """
        with seeded(context.seed):
            bench = Bench(context.target)
            _structure(context, bench)
            _decay(context, bench)
            _statistics(context, bench)


def _structure(context: ProbeContext, bench: Bench) -> None:
    note, listener = context.note, BeforeNorms()
    batch = batches.private(context.batches.train(1)[0])
    kept = bench.snapshot()
    with watching(bench.model, listener), torch.no_grad():
        bench.loss(batch)
    bench.restore(kept)
    note.steps += 1
    _note_flags(context, listener)
    last = _last_size(context)
    size = batches.length(batch)
    note.measure("last_batch_size", last)
    if not listener.values:
        note.absent("no batch normalisation runs in training mode", "batchnorm_values",
                    "batchnorm_last_values")
    for path, values in listener.values.items():
        note.measure("batchnorm_values", values, path or "model")
        note.measure("batchnorm_last_values", values * last / max(size, 1), path or "model")
    if not listener.dropout:
        note.absent("nothing is dropped", "dropout_p")
    for path, p in listener.dropout.items():
        note.measure("dropout_p", p, path or "model")
    strong = [min(p, _NEARLY_ALL) for p in listener.dropout.values() if p >= _STRONG]
    note.measure("dropout_noise", sum(p / (1 - p) for p in strong))


def _note_flags(context: ProbeContext, listener: BeforeNorms) -> None:
    note = context.note
    if not listener.biased:
        note.absent("no linear or convolution layer has a bias", "bias_cancelled")
    for path, cancelled in listener.biased.items():
        note.measure("bias_cancelled", cancelled, path or "model")
    if not listener.dropped:
        note.absent("there is no batch normalisation", "dropout_before_norm")
    for path, before in listener.dropped.items():
        note.measure("dropout_before_norm", before, path or "model")


def _decay(context: ProbeContext, bench: Bench) -> None:
    note = context.note
    decayed = {id(p): float(group.get("weight_decay") or 0.0)
               for group in bench.optimizer.param_groups for p in group["params"]}
    if not any(decayed.values()):
        note.absent("the optimizer decays nothing", "decay_on_small")
        return
    default = _default_decay(bench.optimizer)
    seen: set[int] = set()
    for path, module in bench.model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            small = parameter.dim() <= 1 or isinstance(module, (nn.Embedding, *_NORMS))
            if id(parameter) in decayed and id(parameter) not in seen:
                seen.add(id(parameter))
                decay = decayed[id(parameter)]
                note.measure("decay_on_small", decay if small and decay != default else 0.0,
                             f"{path}.{name}" if path else name)
    optimizer = type(bench.optimizer).__name__
    note.measure("decay_groups_code", (
        "plain = [p for p in model.parameters() if p.dim() <= 1]\n"
        "decayed = [p for p in model.parameters() if p.dim() > 1]\n"
        f"torch.optim.{optimizer}([{{'params': decayed, 'weight_decay': "
        f"{max(decayed.values()):g}}},\n"
        f"    {{'params': plain, 'weight_decay': 0.0}}], lr={bench.lr:g})"))


def _default_decay(optimizer: torch.optim.Optimizer) -> float | None:
    """Return the weight decay of a class of optimizers that nobody has to set."""
    parameter = inspect.signature(type(optimizer).__init__).parameters.get("weight_decay")
    return parameter.default if parameter and isinstance(parameter.default, float) else None


def _statistics(context: ProbeContext, bench: Bench) -> None:
    note = context.note
    names = ("statistics_staleness", "statistics_horizon")
    layers = {path: m for path, m in bench.model.named_modules()
              if isinstance(m, BatchNorm) and m.training and m.running_mean is not None
              and m.momentum is not None}
    if not layers:
        note.absent("no batch normalisation keeps running statistics in training mode", *names)
        return
    steps = context.affordable_steps(_STEPS, minimum=_FEWEST_STEPS)
    full = _full(context.batches.train(steps))
    for step in range(steps):
        batch = batches.private(full[step % len(full)])
        if context.seconds_left() < 0 or not math.isfinite(bench.step(batch)):
            break
        note.steps += 1
    listener = BatchStatistics()
    running = {path: Statistics(m.running_mean.clone(), m.running_var.clone())  # type: ignore[union-attr]
               for path, m in layers.items()}
    with watching(bench.model, listener), torch.no_grad():
        for batch in full[:_PASSES]:
            bench.loss(batches.private(batch))
    epoch = _steps_of_an_epoch(context)
    for path, module in layers.items():
        if path not in listener.seen:
            continue
        momentum = float(module.momentum or 0.0)
        note.measure("statistics_staleness",
                     staleness(running[path], listener.pooled(path)), path or "model")
        note.measure("statistics_horizon",
                     1 / momentum / epoch if momentum > 0 else math.inf, path or "model")
        note.measure("statistics_momentum", momentum, path or "model")


def _full(read: Sequence[Any]) -> list[Any]:
    """Return the batches that are as large as the first; a last one of one sample would raise."""
    return [batch for batch in read if batches.length(batch) >= batches.length(read[0])]


def _steps_of_an_epoch(context: ProbeContext) -> int:
    opened: Any = context.batches.training_pass
    if opened.exhausted:
        return max(len(opened.batches), 1)
    try:
        return max(len(opened.loader), 1)
    except TypeError:
        return _USUAL_EPOCH


def _last_size(context: ProbeContext) -> int:
    """Return the number of samples in the last batch of an epoch; the usual size if unknown."""
    opened: Any = context.batches.training_pass
    usual = batches.length(opened.batches[0])
    size, per_batch = size_of(opened.loader), getattr(opened.loader, "batch_size", None)
    if opened.exhausted:
        return batches.length(opened.batches[-1])
    if size is None or not per_batch or opened.loader.drop_last:
        return usual
    return int(size % per_batch or per_batch)
