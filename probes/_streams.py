"""Whether a sequence reaches what is made of it in one way, position by position."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from auditor import batches
from auditor.isolation import seed_all
from auditor.modes import evaluating
from auditor.recorder import tensors_in
from auditor.trial import Bench

# Sums of the same numbers may differ by rounding.
_SAME = 1e-9


@dataclass(frozen=True)
class _Input:
    """A floating-point tensor that a module got: its shape, and sums that tell it from others."""

    shape: tuple[int, ...]
    sums: tuple[float, float]

    def differs(self, other: _Input) -> bool:
        """Tell whether this is another tensor."""
        return self.shape != other.shape or any(
            not abs(a - b) <= _SAME * (abs(a) + abs(b)) for a, b in
            zip(self.sums, other.sums, strict=True))


@dataclass
class _Pass:
    """What the modules got in one pass, in order, and how often the tokens were looked up."""

    inputs: list[list[_Input]]
    lookups: int = 0


def is_one_stream(
    bench: Bench, batch: Any, other: Any, tokens: Tensor, shape: tuple[int, int], seed: int,
) -> bool:
    """Tell whether tokens go through the model as one stream that keeps their positions.

    An encoder that hands what it makes of a sequence to a decoder of the same sequence may see all
    of it, as in autoencoders of texts. There the tokens are looked up more than once, or a module
    gets two things that depend on them, or one that has no positions any more (a latent vector,
    the last state of an RNN).

    Args:
        bench: Whose model is run, in eval mode.
        batch: As it is.
        other: The batch with some of the tokens changed.
        tokens: As they stand in the batch.
        shape: How many sequences they are, and how long these.
        seed: Of both passes.
    """
    mine, theirs = (_passed(bench, one, tokens if one is batch else None, seed)
                    for one in (batch, other))
    if mine.lookups != 1 or len(mine.inputs) != len(theirs.inputs):
        return False
    for ours, others in zip(mine.inputs, theirs.inputs, strict=True):
        if len(ours) != len(others):
            return False
        changed = [a for a, b in zip(ours, others, strict=True) if a.differs(b)]
        if len(changed) > 1 or not all(_has_positions(one.shape, *shape) for one in changed):
            return False
    return True


def _has_positions(shape: tuple[int, ...], count: int, length: int) -> bool:
    """Tell whether a tensor's shape has room for the positions, or all but one, of sequences."""
    lengths = (length, length - 1)
    if len(shape) < 3:
        return shape[:1] in {(count * size,) for size in lengths}
    sizes = list(shape)
    if count in sizes:
        sizes.remove(count)
    return any(size in lengths for size in sizes)


def _passed(bench: Bench, batch: Any, tokens: Tensor | None, seed: int) -> _Pass:
    found = _Pass([])
    seed_all(seed)
    with evaluating(bench.model), _noting(bench.model, tokens, found):
        bench.loss(batches.private(batch))
    return found


@contextmanager
def _noting(model: nn.Module, tokens: Tensor | None, found: _Pass) -> Iterator[None]:
    def enter(module: nn.Module, args: Any, kwargs: Any) -> None:
        if isinstance(module, nn.Conv1d):
            # Its input has positions, and more of them where it was padded.
            return
        got = {id(tensor): tensor for tensor in tensors_in((args, kwargs))}
        found.inputs.append([_Input(tuple(t.shape), _sums(t)) for t in got.values()
                             if t.is_floating_point()])
        if tokens is not None and isinstance(module, nn.Embedding):
            found.lookups += any(_is_of(tensor, tokens) for tensor in got.values())

    handles = [module.register_forward_pre_hook(enter, with_kwargs=True)
               for module in model.modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _sums(tensor: Tensor) -> tuple[float, float]:
    both = torch.stack([tensor.sum(dtype=torch.double), tensor.double().square().sum()])
    one, two = both.tolist()
    return one, two


def _is_of(indices: Tensor, tokens: Tensor) -> bool:
    """Tell whether indices are the tokens, with or without the first or last position."""
    return any(batches.same_values(indices, part) for way in (tokens, tokens.t())
               for part in (way, way[:, :-1], way[:, 1:], way[:-1], way[1:]))
