"""The gradient noise scale, from gradients of microbatches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from auditor import batches
from auditor.trial import Bench


@dataclass
class GradientNoise:
    """Sums from which the noise scale is estimated, over several points of a run.

    Numerator and denominator are averaged apart: their ratio at one point is far too noisy.

    Attributes:
        variances: Trace of the per-sample gradient covariance at each point.
        squares: Squared norm of the true gradient at each point, free of bias.
        samples: Behind each point; a gradient that they do not tell from zero has at least this
            noise scale.
    """

    variances: list[float]
    squares: list[float]
    samples: int = 0

    def add(self, bench: Bench, micro: Sequence[Any]) -> None:
        """Measure at the present weights, from microbatches of equal size."""
        total: list[Tensor] | None = None
        square, size = 0.0, batches.length(micro[0])
        for batch in micro:
            bench.optimizer.zero_grad(set_to_none=True)
            bench.backward(batches.private(batch))
            gradients = [_taken(p) for group in bench.optimizer.param_groups
                         for p in group["params"]]
            square += sum(float(g.double().square().sum()) for g in gradients)
            total = gradients if total is None else [
                a.add_(b) if a.shape == b.shape else a + b
                for a, b in zip(total, gradients, strict=True)]
            del gradients
        bench.optimizer.zero_grad(set_to_none=True)
        assert total is not None
        count = len(micro)
        mean = sum(float((g.double() / count).square().sum()) for g in total)
        scatter = max(square / count - mean, 0.0) * count / (count - 1)
        self.samples = size * count
        self.variances.append(size * scatter)
        self.squares.append(mean - scatter / count)

    def scale(self) -> tuple[float, float, float]:
        """Return the noise scale tr(Sigma) / |G|^2 in samples, with a rough 95 % interval.

        The interval comes from the scatter of |G|^2 over the points; infinity where that is not
        told from zero, but for the lower end.

        Source: McCandlish et al. 2018, An Empirical Model of Large-Batch Training, section 2.2.
        """
        points = len(self.squares)
        variance, square = sum(self.variances) / points, sum(self.squares) / points
        spread = (math.sqrt(sum((s - square) ** 2 for s in self.squares) / (points - 1) / points)
                  if points > 1 else abs(square))
        # Points of one run are few and not independent.
        low, high = square - 2 * spread, square + 2 * spread
        scale, upper = (variance / s if s > 0 else math.inf for s in (square, low))
        return scale, variance / high if high > 0 else float(self.samples), upper


def _taken(parameter: Tensor) -> Tensor:
    """Take the gradient off a parameter; a zero where there is none, or a sparse one."""
    gradient, parameter.grad = parameter.grad, None
    if gradient is None or gradient.is_sparse:
        return torch.zeros((), device=parameter.device)
    return gradient.detach()


def microbatches(read: Sequence[Any], size: int, count: int) -> list[Any]:
    """Return up to `count` batches of `size` samples, cut from those read."""
    found: list[Any] = []
    for batch in read:
        samples = batches.length(batch)
        for start in range(0, samples - size + 1, size):
            found.append(batches.select(batch, list(range(start, start + size))))
            if len(found) == count:
                return found
    return found
