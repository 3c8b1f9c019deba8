"""How much better than the best constant a model answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from auditor import batches, task
from auditor.losscall import LossCall, LossCalls
from auditor.modes import evaluating
from auditor.recorder import watching
from auditor.trial import Bench

_NORMAL_95 = 1.96


class Skill(NamedTuple):
    """What the answers are worth on some samples.

    Attributes:
        value: 0 for the best constant, 1 for all right; the accuracy of classes beyond the
            commonest one, R2 of numbers. NaN when nothing could be judged.
        high: Upper end of the 95 % interval of what the inputs told; of numbers the square of the
            correlation, since a model that knows other samples by heart has no R2 to speak of.
        samples: How many.
    """

    value: float
    high: float
    samples: int


def skill(bench: Bench, read: Sequence[Any], chance: float | None) -> Skill:
    """Return the skill in eval mode over batches.

    Args:
        bench: Its model answers.
        read: Stored batches.
        chance: Share of the commonest class; None where numbers are asked for.

    Raises:
        TargetError: The user's code failed.
    """
    calls = [call for batch in read if (call := _answered(bench, batch)) is not None]
    return _of_numbers(calls) if chance is None else _of_classes(calls, chance)


def _answered(bench: Bench, batch: Any) -> LossCall | None:
    calls = LossCalls()
    with evaluating(bench.model), watching(bench.model, calls):
        bench.loss(batches.private(batch))
    described = task.describe(calls.calls)
    return described.main if described else None


def _of_classes(calls: Sequence[LossCall], chance: float) -> Skill:
    right, total = 0.0, 0
    for call in calls:
        found = task.score(call)
        if found is not None and found.name == "accuracy":
            right, total = right + found.value * len(call.input), total + len(call.input)
    if not total:
        return Skill(math.nan, math.nan, 0)
    room = max(1 - chance, 1e-6)
    error = _NORMAL_95 * math.sqrt(chance * (1 - chance) / total)
    value = right / total
    return Skill((value - chance) / room, (value + error - chance) / room, total)


def _of_numbers(calls: Sequence[LossCall]) -> Skill:
    pairs = [(call.input.reshape(-1).double(), call.target.reshape(-1).double()) for call in calls
             if call.target is not None and call.target.numel() == call.input.numel()]
    if not pairs:
        return Skill(math.nan, math.nan, 0)
    said, asked = (torch.cat(values) for values in zip(*pairs, strict=True))
    spread = (asked - asked.mean()).square().sum()
    if not float(spread):
        return Skill(math.nan, math.nan, 0)
    value = 1 - float((said - asked).square().sum() / spread)
    known = max(_correlation(said, asked), 0.0) + _NORMAL_95 / math.sqrt(len(asked))
    return Skill(value, min(known, 1.0) ** 2, len(asked))


def _correlation(a: Tensor, b: Tensor) -> float:
    a, b = a - a.mean(), b - b.mean()
    size = float(torch.linalg.vector_norm(a) * torch.linalg.vector_norm(b))
    return float(a @ b) / size if size else 0.0
