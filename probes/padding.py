"""Whether positions that only fill up sequences count in the loss."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from auditor import batches
from auditor.isolation import seeded
from auditor.observation import Quantity
from auditor.probe import Cost, NotApplicable, ProbeContext
from auditor.trial import Bench

from ._losses import SeenLoss, watch_losses

_BATCHES = 2
_LOSSES = ("cross_entropy", "nll_loss")
# A value that fills tails and stands this often elsewhere is an ordinary value, too; what stands
# there more often, or twice in a row, fills nothing.
_STRAY, _COMMON = 0.01, 0.1
# Part of the sequences that end in it, and part of the inputs that must be constant there.
_MOST = 0.5
_CONSTANT = 0.95
_SHORTEST = 4
# What libraries put in the place of the position that they shift out.
_IGNORED = -100


class _Counted(NamedTuple):
    """What filled positions are of a loss's targets and of its gradient, as shares."""

    share: float
    gradient: float


class _Filling(NamedTuple):
    """A value that fills the ends of sequences.

    Attributes:
        value: It.
        tails: (N, T) True where it fills up.
        only: It stands nowhere else.
        tokens: (N, T) the sequences, where it is not known whether they are the targets.
    """

    value: int
    tails: Tensor
    only: bool
    tokens: Tensor | None = None


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
        Quantity("padding_means_more", "", "the value stands at other positions too", kind="flag"),
    )

    def run(self, context: ProbeContext) -> None:
        """Measure, and write into the notebook."""
        stored = context.batches.train(_BATCHES)
        filled = [(batch, found) for batch in stored if (found := _fillings(batch))]
        if not filled:
            raise NotApplicable("no target sequences that are filled up with one value")
        measured: list[tuple[_Filling, _Counted]] = []
        with seeded(context.seed):
            bench = Bench(context.target)
            for batch, fillings in filled:
                seen = watch_losses(bench, [batch], backward=True).seen
                measured += [(filling, counted) for loss in seen if loss.call.name in _LOSSES
                             for filling in fillings if (counted := _counted(loss, filling))]
        context.note.steps += len(filled)
        if not measured:
            raise NotApplicable("no cross-entropy takes these sequences")
        if len({filling.value for filling, _ in measured}) > 1:
            raise NotApplicable("sequences are not filled up with one and the same value")
        worst = max((counted for _, counted in measured), key=lambda counted: counted.gradient)
        context.note.measure("padding_share", worst.share)
        context.note.measure("padding_gradient", worst.gradient)
        context.note.measure("padding_value", measured[0][0].value)
        context.note.measure("padding_means_more", not all(one.only for one, _ in measured))


def _fillings(batch: Any) -> list[_Filling]:
    """Return what fills the ends of a batch's target sequences.

    Where a batch does not tell its targets they are any of its sequences.
    """
    parts = batches.split(batch)
    sequences = [*_sequences(batches.tensors_of(parts.target)), *_sequences(parts.inputs)]
    if parts.target is not None:
        sequences = sequences[:1]
    found = [(tokens, filling) for tokens in sequences
             if (filling := _filled(tokens, [t for t in parts.inputs if t is not tokens]))]
    if len(found) == 1 and found[0][0] is sequences[0]:
        return [found[0][1]]
    return [filling._replace(tokens=tokens) for tokens, filling in found]


def _filled(tokens: Tensor, inputs: Sequence[Tensor]) -> _Filling | None:
    """Return the value that fills the ends of sequences (N, T).

    Most sequences end in it, in runs of different lengths; it stands nowhere else in runs, or the
    inputs say where the sequences end; and inputs of the same length are filled up there too.
    """
    value = int(tokens[:, -1].mode().values)
    is_value = tokens == value
    tails = _tails(is_value)
    only = _elsewhere(is_value, tails) <= _STRAY
    if not _is_filler(is_value, tails):
        tails = _told_by_inputs(is_value, inputs)
    lengths = tails.sum(dim=1)
    ends = float((lengths > 0).double().mean())
    if value < 0 or ends < _MOST or int(lengths.max()) < 2:
        return None
    if int(lengths.min()) == int(lengths.max()) or not _fill_inputs(tails, inputs):
        return None
    return _Filling(value, tails, only)


def _tails(is_value: Tensor) -> Tensor:
    """Return (N, T) True where a value runs to the end of its sequence."""
    return is_value.flip(1).cumprod(dim=1).flip(1).bool()


def _elsewhere(chosen: Tensor, tails: Tensor) -> float:
    """Return how often something stands outside of the filled ends, as a share."""
    return float((chosen & ~tails).sum() / (~tails).sum().clamp(min=1))


def _is_filler(is_value: Tensor, tails: Tensor) -> bool:
    twice = is_value & is_value.roll(1, dims=1)
    twice[:, 0] = False
    return _elsewhere(is_value, tails) <= _COMMON and _elsewhere(twice, tails) <= _STRAY


def _told_by_inputs(is_value: Tensor, inputs: Sequence[Tensor]) -> Tensor:
    """Return (N, T) the ends that inputs or their mask show, if the targets have one value there.

    Labels are often filled up with a class that exists; what fills the inputs stands only there.
    """
    for tensor in _sequences(t.long() for t in inputs if not t.is_floating_point()):
        if tensor.shape == is_value.shape:
            is_filler = tensor == tensor[:, -1].mode().values
            tails = _tails(is_filler)
            if _is_filler(is_filler, tails) and bool(is_value[tails].all()):
                return tails
    return torch.zeros_like(is_value)


def _sequences(tensors: Iterable[Tensor]) -> Iterator[Tensor]:
    """Yield the (N, T) integer tensors."""
    for tensor in tensors:
        whole = not tensor.is_floating_point() and tensor.dtype != torch.bool
        if whole and tensor.dim() == 2 and tensor.shape[0] > 1 and tensor.shape[1] >= _SHORTEST:
            yield tensor


def _fill_inputs(tails: Tensor, inputs: Sequence[Tensor]) -> bool:
    """Tell whether inputs of the same length are constant where the targets are filled up.

    Args:
        tails: (N, T) True at the filled positions of the targets.
        inputs: Those of another length (of an encoder) cannot tell.
    """
    rows, length = tails.shape
    aligned = [t for t in inputs if t.dim() >= 2 and t.shape[0] == rows
               and abs(t.shape[1] - length) <= 1]
    # Targets are often the inputs one step on, so the first filled position is left out.
    later = tails & tails.roll(1, dims=1)
    later[:, 0] = False
    for tensor in aligned:
        size = min(length, tensor.shape[1])
        ends = tensor[:, -size:][later[:, -size:]]
        if len(ends) == 0 or float((ends == ends[0]).double().mean()) >= _CONSTANT:
            return True
    return not aligned


def _is_of(target: Tensor, tokens: Tensor) -> bool:
    """Tell whether a target is sequences (N, T), or these without their first or last position."""
    later = tokens[:, 1:]
    return any(torch.equal(target.flatten(), part.flatten()) for part in (
        tokens, later, tokens[:, :-1], F.pad(later, (0, 1), value=_IGNORED)))


def _counted(loss: SeenLoss, filling: _Filling) -> _Counted | None:
    """Return the share of filled positions in one loss call, and of the gradient they make.

    None for a loss over something else than the positions of the sequences (one or two of which
    may be shifted out).
    """
    target, gradient = loss.call.target, loss.gradient
    if target is None or target.is_floating_point() or gradient is None or gradient.dim() < 2:
        return None
    norms, target = gradient.double().norm(dim=1).cpu(), target.cpu()
    rows, length = filling.tails.shape
    if norms.shape != target.shape or not length - 2 <= target.numel() / rows <= length:
        return None
    if filling.tokens is not None and not _is_of(target, filling.tokens):
        return None
    filled = target == filling.value
    if not filling.only:
        # Where the value stands elsewhere too, only positions that are not shifted can be told.
        if target.numel() != filling.tails.numel():
            return None
        filled &= filling.tails.reshape(target.shape)
    total = float(norms.sum())
    return _Counted(float(filled.double().mean()),
                    float(norms[filled].sum()) / total if total else 0.0)
