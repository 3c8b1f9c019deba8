"""The mean recall over classes: an accuracy in which rare classes count as much as others."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from auditor.losscall import LossCall
from auditor.lossvalue import CLASS_LOSSES, class_dim, is_soft


def mean_recall(calls: Sequence[LossCall]) -> float | None:
    """Return the recall of each class that occurs, averaged; None where there are no classes.

    Args:
        calls: Loss calls whose samples are taken together.
    """
    right: list[torch.Tensor] = []
    said: list[torch.Tensor] = []
    for call in calls:
        if call.name not in CLASS_LOSSES or call.target is None or is_soft(call):
            return None
        predicted = call.input.argmax(dim=class_dim(call)).flatten()
        target = call.target.flatten()
        if predicted.shape != target.shape:
            return None
        counted = target != call.settings.get("ignore_index", -100)
        said.append(predicted[counted])
        right.append(target[counted])
    if not right:
        return None
    target, predicted = torch.cat(right), torch.cat(said)
    recalls = [float((predicted[target == c] == c).float().mean()) for c in set(target.tolist())]
    return sum(recalls) / len(recalls) if recalls else None
