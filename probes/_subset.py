"""A tiny subset of the training data, small enough to be learned by heart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from auditor import batches
from auditor.losscall import LossCall

SAMPLES = 16
# A sequence or a picture asks for one answer per position; together they stay below this.
_POSITIONS = 512
_FEWEST = 2
# A prime: steps of it visit every sample once, wherever the sizes of batches have other factors.
_STRIDE = 37


def subset(stored: Sequence[Any], calls: Sequence[LossCall] = ()) -> Any:
    """Return one batch of about 16 samples, fewer where each holds many positions.

    The samples are spread over the batches and over the classes, so that sorted data and rare
    classes still give several answers to learn. Batches are joined; where that is impossible the
    first one is cut, or taken as it is.

    Args:
        stored: Training batches.
        calls: Loss calls of the first of them, to count its positions.
    """
    joined = batches.concatenate(stored)
    whole = stored[0] if joined is None else joined
    size = batches.length(whole)
    wanted = _wanted(batches.length(stored[0]), calls)
    if size <= wanted:
        return whole
    return batches.select(whole, _by_turns(batches.split(whole).target, size)[:wanted])


def _by_turns(target: Any, size: int) -> list[int]:
    """Return all samples in an order that takes one of each class in turn."""
    spread = [(i * _STRIDE) % size for i in range(size)] if size % _STRIDE else list(range(size))
    if not isinstance(target, Tensor) or target.numel() != size:
        return spread
    classes = target.reshape(-1).tolist()
    seen: Counter[Any] = Counter()
    turns: dict[int, int] = {}
    for sample in spread:
        turns[sample] = seen[classes[sample]]
        seen[classes[sample]] += 1
    if len(seen) > size // 2:
        return spread
    return sorted(spread, key=lambda sample: turns[sample])


def _wanted(size: int, calls: Sequence[LossCall]) -> int:
    targets = [call.target for call in calls if call.target is not None]
    positions = max((target.numel() // max(size, 1) for target in targets
                     if not target.is_floating_point()), default=1)
    return max(min(SAMPLES, _POSITIONS // max(positions, 1)), _FEWEST)
