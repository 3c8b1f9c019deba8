"""Whether the loss is a mean or a sum over the samples of a batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from auditor import batches
from auditor.errors import TargetError
from auditor.graphs import graphs_of
from auditor.isolation import seed_all, seeded
from auditor.modes import evaluating
from auditor.observation import Quantity
from auditor.probe import Cost, NotApplicable, ProbeContext
from auditor.trial import Bench

_BATCHES = 2
# Far above any optimizer's epsilon, far below what overflows.
_LOUDER = 1024.0
# An update that grows less than this, when gradients grow by `_LOUDER`, does not follow them.
_FOLLOWS = 10.0
_SILENT = 1e-9
# Below this growth one batch says enough, and how the optimizer takes a sum does not matter.
_DOUBTFUL = 1.5


class Reduction:
    """Compares the loss of a batch with the losses of its halves."""

    name: ClassVar[str] = "reduction"
    says: ClassVar[str] = "compares the loss of a batch with those of its halves"
    cost: ClassVar[Cost] = Cost(steps=2 * _BATCHES, minimum_steps=2)
    after: ClassVar[tuple[str, ...]] = ()
    yields: ClassVar[tuple[Quantity, ...]] = (
        Quantity("loss_growth", "", "loss of a batch over the mean loss of its two halves: 1 for "
                 "a mean over the samples, 2 for a sum"),
        Quantity("ignores_loss_scale", "", "the optimizer's first update does not grow with the "
                 "gradient", kind="flag"),
        Quantity("loss_batch_size", "", "samples in the batch that was split"),
    )

    def run(self, context: ProbeContext) -> None:
        """Measure, and write into the notebook."""
        stored = context.batches.train(_BATCHES)
        if not stored:
            raise NotApplicable("the training loader gives no batch")
        with seeded(context.seed):
            bench = Bench(context.target)
            growths: list[float] = []
            for batch in stored:
                growth = _growth(bench, batch, context.seed)
                if growth is None:
                    raise NotApplicable("the batches cannot be split into halves")
                growths.append(growth)
                context.note.steps += 2
                if growth < _DOUBTFUL:
                    break
            note = context.note
            # A sum must show in every batch.
            note.measure("loss_growth", min(growths, key=lambda growth: abs(growth - 1)))
            note.measure("loss_batch_size", batches.length(stored[0]))
            if growths[-1] >= _DOUBTFUL:
                note.measure("ignores_loss_scale", _ignores_scale(bench, stored[0]))
                note.steps += 2


def _growth(bench: Bench, batch: Any, seed: int) -> float | None:
    half = batches.length(batch) // 2
    opaque = next(batches.tensors_of(batch), None) is None and graphs_of(batch) is None
    if half < 1 or opaque:
        return None
    losses = []
    for samples in (range(2 * half), range(half), range(half, 2 * half)):
        part = batches.select(batch, list(samples))
        try:
            with evaluating(bench.model):
                seed_all(seed)
                losses.append(float(bench.loss(batches.private(part)).loss))
        except TargetError:
            return None
    whole, first, second = losses
    if not all(map(math.isfinite, losses)) or abs(first + second) < _SILENT:
        return None
    return 2 * whole / (first + second)


def _ignores_scale(bench: Bench, batch: Any) -> bool:
    """Tell whether the first update stays as it is when the gradient grows a thousandfold."""
    start = bench.snapshot()
    before = [p.detach().clone() for p in bench.model.parameters()]
    sizes = []
    for factor in (1.0, _LOUDER):
        bench.restore(start)

        def louder(factor: float = factor) -> None:
            for parameter in bench.model.parameters():
                if parameter.grad is not None:
                    parameter.grad.mul_(factor)

        bench.step(batches.private(batch), after_backward=louder)
        sizes.append(_moved(bench, before))
    bench.restore(start)
    return 0 < sizes[0] and sizes[1] < _FOLLOWS * sizes[0]


def _moved(bench: Bench, before: Sequence[Tensor]) -> float:
    """Return the norm of all parameters' change."""
    squares = [(p.detach() - old).double().square().sum()
               for p, old in zip(bench.model.parameters(), before, strict=True)]
    return float(torch.stack(squares).sum().sqrt()) if squares else 0.0
