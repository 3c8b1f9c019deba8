"""What stands right before normalisation layers, how many values they see, and dropout calls."""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from auditor import functions
from auditor.recorder import Call

BatchNorm = nn.modules.batchnorm._BatchNorm
_CANCELLING = (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm)
_WEIGHTED = (nn.Linear, nn.modules.conv._ConvNd)


class BeforeNorms:
    """Listens for layers, dropout calls and normalisation layers of one forward pass.

    Attributes:
        biased: Linear and convolution layer -> whether its bias is cancelled by what follows.
        dropped: Batch normalisation -> whether dropout stands right before it.
        values: Batch normalisation in training mode -> values per channel in this batch.
        dropout: Layer that drops in this pass -> its probability.
    """

    def __init__(self) -> None:
        self.biased: dict[str, bool] = {}
        self.dropped: dict[str, bool] = {}
        self.values: dict[str, float] = {}
        self.dropout: dict[str, float] = {}
        self._made_by: dict[int, str] = {}
        self._dropped: set[int] = set()
        self._kept: list[Tensor] = []

    def on_function(self, call: Call) -> None:
        """Note dropout; forget what is changed in place."""
        output = call.output
        if not isinstance(output, Tensor):
            return
        if call.function in functions.DROPOUTS:
            p = _probability(call)
            if p > 0:
                self.dropout[call.subject] = max(p, self.dropout.get(call.subject, 0.0))
                self._dropped.add(id(output))
                self._kept.append(output)
        elif id(output) in self._made_by and call.function in functions.ACTIVATIONS:
            del self._made_by[id(output)]

    def on_module(self, call: Call) -> None:
        """Note layers with a bias, and compare the inputs of normalisation layers."""
        module, output = call.module, call.output
        source = call.args[0] if call.args else None
        if isinstance(module, _CANCELLING) and isinstance(source, Tensor):
            self._norm(call.path, module, source)
        elif isinstance(module, _WEIGHTED) and isinstance(output, Tensor):
            if module.bias is not None:
                self.biased.setdefault(call.path, False)
                self._made_by[id(output)] = call.path
                self._kept.append(output)
        elif isinstance(module, (nn.RNNBase, nn.MultiheadAttention)) and module.training:
            if module.dropout > 0 and getattr(module, "num_layers", 2) > 1:
                self.dropout[call.path] = float(module.dropout)

    def _norm(self, path: str, module: nn.Module, source: Tensor) -> None:
        maker = self._made_by.get(id(source))
        if maker is not None:
            self.biased[maker] = True
        if isinstance(module, BatchNorm):
            self.dropped[path] = id(source) in self._dropped
            if module.training and source.dim() >= 2:
                values = source.numel() / source.shape[1]
                self.values[path] = min(values, self.values.get(path, math.inf))


@dataclass(frozen=True)
class Statistics:
    """Mean and variance per channel, (C,) each."""

    mean: Tensor
    variance: Tensor


class BatchStatistics:
    """Listens for the inputs of batch normalisation layers over several passes.

    Attributes:
        seen: Layer -> statistics of each pass.
    """

    def __init__(self) -> None:
        self.seen: dict[str, list[Statistics]] = {}

    def on_function(self, call: Call) -> None:
        """Modules say it all."""

    def on_module(self, call: Call) -> None:
        """Take mean and variance of the input."""
        source = call.args[0] if call.args else None
        if not isinstance(call.module, BatchNorm) or not isinstance(source, Tensor):
            return
        others = [d for d in range(source.dim()) if d != 1]
        with torch.no_grad(), torch._C.DisableTorchFunction():
            values = source.detach().double()
            self.seen.setdefault(call.path, []).append(
                Statistics(values.mean(dim=others), values.var(dim=others, unbiased=False)))

    def pooled(self, path: str) -> Statistics:
        """Return the statistics of all passes together."""
        means = torch.stack([s.mean for s in self.seen[path]])
        variances = torch.stack([s.variance for s in self.seen[path]])
        spread = means.var(dim=0, unbiased=False)
        return Statistics(means.mean(dim=0), variances.mean(dim=0) + spread)


def staleness(running: Statistics, true: Statistics) -> float:
    """Return how far running statistics are from those of the data.

    The larger of: difference of the means in standard deviations, rms over channels; mean
    absolute logarithm of the ratio of variances. Channels that do not vary are left out.
    """
    varying = true.variance > 1e-6 * float(true.variance.max().clamp(min=1e-30))
    if not bool(varying.any()):
        return 0.0
    mean, variance = true.mean[varying], true.variance[varying]
    moved = ((running.mean.double()[varying] - mean).square() / variance).mean().sqrt()
    ratio = running.variance.double()[varying].clamp(min=1e-12) / variance
    return max(float(moved), float(ratio.log().abs().mean()))


def _probability(call: Call) -> float:
    """Return with which probability a call drops; 0 outside of training."""
    assert call.function is not None
    try:
        bound = inspect.signature(call.function).bind(*call.args, **call.kwargs)
        bound.apply_defaults()
        given: dict[str, Any] = bound.arguments
    except (TypeError, ValueError):
        given = dict(zip(("input", "p", "training"), call.args, strict=False)) | call.kwargs
    active = given.get("training", given.get("train", True))
    return float(given.get("p", 0.5)) if active else 0.0
