"""Whether steps make the loss function's value smaller."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.optim import Optimizer

from auditor.lossvalue import scale_of
from auditor.probe import ProbeContext

from ._losses import SeenLoss


def note_direction(
    context: ProbeContext, seen: Sequence[SeenLoss], losses: Sequence[float], optimizer: Optimizer,
) -> None:
    """Measure which way a step goes: the user's loss may be negated, the optimizer may maximise.

    Nothing is said where the loss has further terms, or all targets are equal: a generator may
    well raise the loss of "this one is not real".

    Args:
        context: Of the probe.
        seen: Loss calls, one for each batch if they are to be judged.
        losses: The user's loss of each batch.
        optimizer: Of the user.
    """
    is_one_each = [one.batch for one in seen] == list(range(len(losses)))
    scale = scale_of(losses, [one.call for one in seen]) if is_one_each else None
    if scale is None:
        context.note.absent("the loss is not the value of one loss function", "raises_loss")
    elif not _has_answers(seen):
        context.note.absent("all targets are equal", "raises_loss")
    else:
        maximises = any(group.get("maximize", False) for group in optimizer.param_groups)
        context.note.measure("raises_loss", (scale < 0) is not maximises)


def _has_answers(seen: Sequence[SeenLoss]) -> bool:
    targets = [one.call.target.reshape(-1) for one in seen if one.call.target is not None]
    return bool(targets) and len(torch.unique(torch.cat(targets))) > 1
