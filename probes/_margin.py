"""Whether a model that is told the classes lowers the logit of the true one by a margin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from auditor import batches
from auditor.errors import TargetError
from auditor.isolation import seeded
from auditor.losscall import LossCall
from auditor.trial import Bench

from ._losses import watch_losses


def has_margin(
    bench: Bench, stored: Sequence[Any], calls: Sequence[LossCall], seed: int,
) -> bool:
    """Tell whether the logits hold a margin softmax.

    It lowers the true class's logit (Deng et al. 2019, ArcFace, arXiv:1801.07698; Wang et al. 2018,
    CosFace, arXiv:1801.09414), so that the loss starts far above that of equal odds. Told another
    class it lowers that one's, and leaves all others as they are.

    Args:
        bench: Is not trained.
        stored: The batches.
        calls: Of each, the call that decides the task.
        seed: Under which they were made.

    Returns:
        Whether it does so in every batch; not where there is but one class to tell of, or the loss
        does not bear another one.
    """
    told = [_told_otherwise(batch, call) for batch, call in zip(stored, calls, strict=False)]
    changed = [batch for batch in told if batch is not None]
    if not calls or len(changed) != len(calls):
        return False
    try:
        with seeded(seed):
            seen = watch_losses(bench, changed).seen
    except TargetError:
        return False
    pairs = [(call, one.call) for index, call in enumerate(calls) for one in seen
             if one.batch == index and one.trained and one.call.name == call.name]
    return len(pairs) == len(calls) and all(_lowers_the_true_one(*pair) for pair in pairs)


def _lowers_the_true_one(call: LossCall, other: LossCall) -> bool:
    """Tell whether two calls differ in the logits of their targets alone, each lower in its own."""
    own, told = call.target, other.target
    if own is None or told is None or call.input.shape != other.input.shape or (
            call.input.dim() != 2 or own.dim() != 1):
        return False
    rows = (own >= 0).nonzero()[:, 0]
    own, told = own[rows, None], told[rows, None]
    one, two = call.input[rows], other.input[rows]
    rest = (one != two).scatter(1, own, False).scatter(1, told, False)
    return not bool(rest.any()) and bool(
        (one.gather(1, own) < two.gather(1, own)).all()
        and (one.gather(1, told) > two.gather(1, told)).all())


def _told_otherwise(batch: Any, call: LossCall) -> Any:
    """Return the batch with the next class in the place of each; None where that cannot be."""
    target = batches.split(batch).target
    if not isinstance(target, Tensor) or target.is_floating_point() or call.target is None or (
            not batches.same_values(target, call.target)):
        return None
    present: Tensor = target[target >= 0].unique()  # type: ignore[no-untyped-call]
    if len(present) < 2:
        return None
    following = present[(torch.searchsorted(present, target) + 1) % len(present)]
    other = torch.where(target >= 0, following.to(target.dtype), target)
    return batches.map_tensors(batch, lambda tensor: other if tensor is target else tensor)
