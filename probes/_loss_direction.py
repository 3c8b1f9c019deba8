"""Whether steps make the loss function's value smaller."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from torch.optim import Optimizer

from auditor.lossvalue import scale_of, value
from auditor.probe import ProbeContext

from ._losses import SeenLoss

# The function's values differ between batches by more than rounding, and the user's loss follows
# them: its multiple scatters by less than this part of what they do.
_ROUNDING, _FOLLOWS = 1e-5, 0.1


def note_direction(
    context: ProbeContext, seen: Sequence[SeenLoss], losses: Sequence[float], optimizer: Optimizer,
) -> None:
    """Measure which way a step goes: the user's loss may be negated, the optimizer may maximise.

    Nothing is said where the loss has further terms, or all targets are equal: a generator may
    well raise the loss of "this one is not real". One batch, or batches of one and the same loss,
    do not show whether there are further terms.

    Args:
        context: Of the probe.
        seen: Loss calls, one for each batch if they are to be judged.
        losses: The user's loss of each batch.
        optimizer: Of the user.
    """
    is_one_each = [one.batch for one in seen] == list(range(len(losses)))
    scale = scale_of(losses, [one.call for one in seen]) if is_one_each else None
    ways = {bool(group.get("maximize", False)) for group in optimizer.param_groups}
    absent = context.note.absent
    if scale is None:
        absent("the loss is not the value of one loss function", "raises_loss")
    elif not _has_answers(seen):
        absent("all targets are equal", "raises_loss")
    elif len(ways) > 1:
        absent("the optimizer maximises for some parameters and minimises for others",
               "raises_loss")
    elif (scale < 0) is ways.pop():
        context.note.measure("raises_loss", False)
    elif _follows(losses, seen):
        context.note.measure("raises_loss", True)
    else:
        absent("the batches have the same loss, which may have further terms", "raises_loss")


def _follows(losses: Sequence[float], seen: Sequence[SeenLoss]) -> bool:
    """Tell whether the user's loss goes with the function's value from batch to batch."""
    values = [float(known) for one in seen if (known := value(one.call)) is not None]
    apart = _scatter(values)
    scales = [loss / known for loss, known in zip(losses, values, strict=True)]
    return apart > _ROUNDING and _scatter(scales) < _FOLLOWS * apart


def _scatter(values: Sequence[float]) -> float:
    """Return how far values lie from their mean, at most, relative to it."""
    mean = fmean(values)
    return max(abs(one - mean) for one in values) / abs(mean)


def _has_answers(seen: Sequence[SeenLoss]) -> bool:
    targets = [one.call.target for one in seen if one.call.target is not None]
    firsts = [target.flatten()[:1] for target in targets if target.numel()]
    return any(bool((target != firsts[0]).any()) for target in targets)
