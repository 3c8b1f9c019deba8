"""Whether positions that only fill up sequences count in the loss."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from auditor import batches
from auditor.isolation import seeded
from auditor.observation import Quantity
from auditor.probe import Cost, NotApplicable, ProbeContext
from auditor.trial import Bench

from ._losses import SeenLoss, watch_losses

_BATCHES = 2
# A value that fills tails and stands this often elsewhere is an ordinary value.
_STRAY = 0.01
_SHORTEST = 4


class _Filling(NamedTuple):
    """A value that fills the ends of sequences, and the size of these (N, T)."""

    value: int
    rows: int
    length: int


class Padding:
    """Finds the value that fills the ends of target sequences and asks the gradient about it."""

    name: ClassVar[str] = "padding"
    says: ClassVar[str] = "looks for padding in sequence targets and for its part in the gradient"
    cost: ClassVar[Cost] = Cost(steps=_BATCHES, minimum_steps=1)
    after: ClassVar[tuple[str, ...]] = ()
    yields: ClassVar[tuple[Quantity, ...]] = (
        Quantity("padding_share", "share", "part of the target positions that only fill up their "
                 "sequences"),
        Quantity("padding_gradient", "share", "part of the loss's gradient that comes from these "
                 "positions"),
        Quantity("padding_value", "", "the value that fills up"),
    )

    def run(self, context: ProbeContext) -> None:
        """Measure, and write into the notebook."""
        stored = context.batches.train(_BATCHES)
        filled = [filling for batch in stored if (filling := _filling(_sequences(batch)))]
        if not filled or len({filling.value for filling in filled}) > 1:
            raise NotApplicable("no target sequences that are filled up with one value")
        value = filled[0].value
        with seeded(context.seed):
            listener = watch_losses(Bench(context.target), stored, backward=True)
        context.note.steps += len(stored)
        seen = [loss for loss in listener.seen if loss.call.name in ("cross_entropy", "nll_loss")]
        measured = [found for loss in seen if (found := _counted(loss, filled[0]))]
        if not measured:
            raise NotApplicable("no cross-entropy takes these sequences")
        share, gradient = max(measured, key=lambda found: found[1])
        context.note.measure("padding_share", share)
        context.note.measure("padding_gradient", gradient)
        context.note.measure("padding_value", value)


def _sequences(batch: Any) -> Iterator[Tensor]:
    """Yield the (N, T) integer tensors of a batch, those of the target first."""
    parts = batches.split(batch)
    for tensor in [*batches.tensors_of(parts.target), *parts.inputs]:
        whole = not tensor.is_floating_point() and tensor.dtype != torch.bool
        if whole and tensor.dim() == 2 and tensor.shape[0] > 1 and tensor.shape[1] >= _SHORTEST:
            yield tensor


def _filling(sequences: Iterator[Tensor]) -> _Filling | None:
    """Return the value that fills the ends of the first sequences; None if nothing does.

    The ends differ in length, and the value hardly stands anywhere else.
    """
    tokens = next(sequences, None)
    if tokens is None:
        return None
    value = int(tokens[:, -1].mode().values)
    if value < 0:
        return None
    is_value = tokens == value
    tails = is_value.flip(1).cumprod(dim=1).flip(1).bool()
    lengths = tails.sum(dim=1)
    stray = (is_value & ~tails).sum() / (~tails).sum().clamp(min=1)
    if int(lengths.min()) == int(lengths.max()) or float(stray) > _STRAY or int(lengths.max()) < 2:
        return None
    return _Filling(value, *tokens.shape)


def _counted(loss: SeenLoss, filling: _Filling) -> tuple[float, float] | None:
    """Return the share of filled positions in one loss call, and of the gradient they make.

    None for a loss over something else than the positions of the sequences (one or two of which
    may be shifted out).
    """
    target, gradient = loss.call.target, loss.live.grad
    if target is None or target.is_floating_point() or gradient is None or gradient.dim() < 2:
        return None
    norms = gradient.double().norm(dim=1)
    positions = target.numel() / filling.rows
    if norms.shape != target.shape or not filling.length - 2 <= positions <= filling.length:
        return None
    filled = target == filling.value
    total = float(norms.sum())
    return float(filled.double().mean()), float(norms[filled].sum()) / total if total else 0.0
