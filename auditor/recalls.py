"""The mean recall over classes: an accuracy in which rare classes count as much as others."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from auditor.losscall import LossCall
from auditor.lossvalue import (
    BINARY_LOSSES,
    CLASS_LOSSES,
    LOGIT_BINARY_LOSSES,
    class_dim,
    is_soft,
    is_two_valued,
)


def mean_recall(calls: Sequence[LossCall]) -> float | None:
    """Return the recall of each class that occurs, averaged; None where there are no classes.

    Args:
        calls: Loss calls whose samples are taken together.
    """
    found = [_answers(call) for call in calls]
    answers = [one for one in found if one is not None]
    if not answers or len(answers) < len(found):
        return None
    predicted, target = (torch.cat(parts) for parts in zip(*answers, strict=True))
    recalls = [float((predicted[target == c] == c).float().mean()) for c in set(target.tolist())]
    return sum(recalls) / len(recalls) if recalls else None


def _answers(call: LossCall) -> tuple[Tensor, Tensor] | None:
    """Return the class that is said and the right one of each sample, or None."""
    target = call.target
    if target is None:
        return None
    if call.name in BINARY_LOSSES and is_two_valued(target):
        is_single = call.input.dim() < 2 or call.input.shape[1] == 1
        if not is_single or call.input.shape != target.shape:
            return None
        middle = 0.0 if call.name in LOGIT_BINARY_LOSSES else 0.5
        return (call.input > middle).long().flatten(), (target > 0.5).long().flatten()
    if call.name not in CLASS_LOSSES or is_soft(call):
        return None
    predicted, target = call.input.argmax(dim=class_dim(call)).flatten(), target.flatten()
    if predicted.shape != target.shape:
        return None
    counted = target != call.settings.get("ignore_index", -100)
    return predicted[counted], target[counted]
