"""Whether the output varies with the input: before training and after a few steps."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from auditor import batches
from auditor.graphs import graphs_of
from auditor.isolation import seeded
from auditor.observation import Quantity
from auditor.probe import Cost, NotApplicable, ProbeContext
from auditor.spread import sample_variation
from auditor.trial import Bench

from ._keys import graph_keys
from ._outputs import Outputs, evaluate

_STEPS = 8
_FEWEST_STEPS = 3
# An output that varies so much before training needs no steps to show that it sees the input.
_PLAIN = 0.001
# A layer has collapsed when it varies no more than this many times what the output does.
_NEAR = 10.0


class Collapse:
    """Compares the model's outputs for different samples, trains a few steps, compares again."""

    name: ClassVar[str] = "collapse"
    says: ClassVar[str] = "compares outputs over samples, before and after a few training steps"
    cost: ClassVar[Cost] = Cost(
        steps=_STEPS + 1, minimum_steps=_FEWEST_STEPS + 1, trains=True, usual=1)
    after: ClassVar[tuple[str, ...]] = ()
    yields: ClassVar[tuple[Quantity, ...]] = (
        Quantity("output_variation", "", "spread of the output over samples relative to its rms; "
                 "where it starts small, the larger one of before and after a few steps", "layer"),
        Quantity("output_variation_at_start", "", "spread of the output over samples relative to "
                 "its rms, before training", "layer"),
        Quantity("model_variation", "", "that of the model as a whole, wherever samples become "
                 "one"),
        Quantity("varied_samples", "", "samples with different inputs that were compared",
                 "layer"),
    )

    def run(self, context: ProbeContext) -> None:
        """Measure, and write into the notebook."""
        stored = context.batches.train(_STEPS)
        if not stored:
            raise NotApplicable("the training loader gives no batch")
        batch = stored[0]
        count = batches.length(batch)
        varied = _distinct(batch, count)
        if varied < 2:
            raise NotApplicable("the inputs of a batch do not differ from each other")
        with seeded(context.seed):
            bench = Bench(context.target)
            _normalise_by_the_last_batch(bench, batch)
            start = evaluate(bench, batch, seed=context.seed, samples=count)
            before = _variation(start)
            layer = _where(start, before)
            largest = before
            if not before > _PLAIN:
                largest = max(before, self._trained(bench, context, batch))
        context.note.measure("output_variation", largest, layer)
        context.note.measure("output_variation_at_start", before, layer)
        if math.isfinite(largest):
            context.note.measure("model_variation", largest)
        context.note.measure("varied_samples", varied, layer)

    def _trained(self, bench: Bench, context: ProbeContext, batch: Any) -> float:
        """Return the variation after a few steps; infinite where training breaks down itself."""
        steps = context.affordable_steps(_STEPS, minimum=_FEWEST_STEPS)
        for data in context.batches.cycled(steps, of=_STEPS):
            if not math.isfinite(bench.step(data)):
                return math.inf
            context.note.steps += 1
        return _variation(evaluate(bench, batch, seed=context.seed))


def _normalise_by_the_last_batch(bench: Bench, batch: Any) -> None:
    """Let batch normalisation evaluate with the last batch's statistics, this one's to begin with.

    Running statistics that a few steps have hardly moved from 0 and 1 normalise nothing: through
    a deep net the differences between samples fade in eval mode, though training sees them.
    """
    norms = [module for module in bench.model.modules() if isinstance(module, _BatchNorm)]
    for module in norms:
        module.momentum = 1.0
    if norms:
        bench.loss(batches.private(batch))


def _distinct(batch: Any, count: int) -> int:
    """Return how many samples have inputs of their own; 0 when the inputs are not seen."""
    if graphs_of(batch) is not None:
        return len(set(graph_keys([batch], targets=False) or ()))
    inputs = [t for t in batches.split(batch).inputs if t.dim() and t.shape[0] == count]
    return max((len(torch.unique(t.reshape(count, -1), dim=0)) for t in inputs if t.numel()),
               default=0)


def _variation(outputs: Outputs) -> float:
    """Return the largest variation over the samples among the model's outputs.

    Raises:
        NotApplicable: No output has several rows.
    """
    found = [sample_variation(tensor) for tensor in outputs.model if _has_rows(tensor)]
    if not found:
        raise NotApplicable("the model has no output with several rows")
    return max(found)


def _has_rows(tensor: Tensor) -> bool:
    return tensor.dim() >= 1 and tensor.shape[0] >= 2 and tensor.numel() > 0


def _where(outputs: Outputs, variation: float) -> str:
    """Return the first layer that varies as little as the output does."""
    last = ""
    for path, rows in outputs.layers.items():
        last = path
        if sample_variation(rows) <= _NEAR * variation:
            return path
    return last or "model"
