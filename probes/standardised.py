"""Trains a few steps on the inputs as they are and on standardised ones, from the same weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

from auditor import batches
from auditor.fields import features_of
from auditor.isolation import seeded
from auditor.observation import Quantity
from auditor.probe import Cost, NotApplicable, ProbeContext
from auditor.standardising import (
    compared_with,
    scalable,
    standardising,
    standardising_fields,
)
from auditor.trial import Bench, Changes, TrialResult

from ._samples import Samples, training_samples
from ._whole import whole_run

_SEEDS = 3
_STEPS = 30
_FEWEST_STEPS = 12
_END = 6
# Inputs between these sizes are standardised already, or nearly: the trial would show nothing.
_SMALL, _LARGE = 0.1, 4.0


class Standardised:
    """Measures how much faster the model learns from standardised inputs."""

    name: ClassVar[str] = "standardised"
    says: ClassVar[str] = "short paired runs on the inputs as they are and on standardised ones"
    cost: ClassVar[Cost] = Cost(
        steps=2 * _SEEDS * _STEPS, minimum_steps=2 * _SEEDS * _FEWEST_STEPS, trains=True, usual=0)
    yields: ClassVar[tuple[Quantity, ...]] = (
        Quantity("standardised_loss_ratio", "ratio",
                 "loss at the end of the run on standardised inputs over that on the inputs as "
                 "they are, geometric mean over seeds"),
        Quantity("standardised_wins", "share", "seeds for which the standardised inputs win"),
    )
    after: ClassVar[tuple[str, ...]] = ("data",)

    def run(self, context: ProbeContext) -> None:
        """Measure the pairs.

        Raises:
            NotApplicable: The inputs cannot be, or need not be standardised.
            OutOfTime: Too little time.
        """
        _check(context)
        steps = context.affordable_steps(
            self.cost.steps, minimum=self.cost.minimum_steps) // (2 * _SEEDS)
        samples = training_samples(context)
        if any(t is not None and t is batches.split(samples.batches[0]).target
               for t in batches.split(samples.batches[0]).inputs):
            raise NotApplicable("the target is the input: its scale would change the loss")
        change = _change(context, samples)
        logs = []
        for number in range(_SEEDS):
            pair = [_end(_trial(context, steps, number, changes))
                    for changes in (Changes(batch=change), Changes())]
            logs.append(_log_ratio(*pair))
        context.note.measure(
            "standardised_loss_ratio", math.exp(sum(logs) / len(logs)), samples=_SEEDS)
        context.note.measure("standardised_wins", sum(log < 0 for log in logs) / len(logs))


def _change(context: ProbeContext, samples: Samples) -> Callable[[Any], Any]:
    """Return what standardises a batch."""
    first = samples.batches[0]
    compared = compared_with(context.target, first, context.seed)
    context.note.steps += 1
    if features_of(first):
        change = standardising_fields(samples.batches, compared)
    else:
        inputs = scalable(samples.inputs, first, compared)
        change = standardising(inputs) if any(t is not None for t in inputs) else None
    if change is None:
        raise NotApplicable("the features cannot be changed, or the loss compares with them")
    return change


def _check(context: ProbeContext) -> None:
    size = context.observed("input_size")
    if size is None:
        raise NotApplicable("no numeric input reaches a layer with weights as it is")
    spread, std = context.observed("input_spread"), context.observed("input_std")
    even = float(spread or 1.0) < _LARGE / _SMALL and float(std or 0.0) > _SMALL
    if float(size) < _LARGE and even:
        raise NotApplicable("the inputs are on the scale of standardised ones")


def _trial(context: ProbeContext, steps: int, number: int, changes: Changes) -> TrialResult:
    with seeded(context.seed + number):
        return whole_run(context, Bench(context.target, changes), steps)


def _end(result: TrialResult) -> float:
    if result.outcome == "diverged" or not result.losses:
        return math.inf
    tail = result.losses[-_END:]
    return sum(tail) / len(tail)


def _log_ratio(standardised: float, plain: float) -> float:
    """Return log(standardised / plain), at most two decades either way; 0 if both diverge."""
    if not (math.isfinite(standardised) and math.isfinite(plain)):
        return 0.0 if standardised == plain else math.copysign(math.log(100), standardised - plain)
    if min(standardised, plain) <= 0:
        return 0.0
    return max(min(math.log(standardised / plain), math.log(100)), -math.log(100))
