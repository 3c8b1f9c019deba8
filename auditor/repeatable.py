"""What the same seed does not repeat, so that a report can say it."""

from __future__ import annotations

import time
from typing import Any

import torch

from auditor import batches
from auditor.errors import TargetError
from auditor.isolation import seeded
from auditor.store import BatchStore
from auditor.target import Target
from auditor.trial import Bench

# A look that would take longer than this is not taken twice.
_SECONDS = 0.5


def doubts(target: Target, store: BatchStore, seed: int, step_seconds: float) -> tuple[str, ...]:
    """Return a sentence for each thing that differs although it was made with the same seed.

    The first batch and the first loss are made twice, where that is quick.
    """
    found = []
    waits = store.training_pass.waits
    try:
        if waits and waits[0] < _SECONDS and not _same(
                store.train(1), list(store.another_epoch(1, 0))):
            found.append("The training loader gives other batches under the same seed; it draws "
                         "from something else than the generators of python, numpy and torch.")
        if step_seconds < _SECONDS and not _same_losses(target, store, seed):
            found.append("The model has another first loss under the same seed and on the same "
                         "batch; it draws from something else than the generators of python, "
                         "numpy and torch, or computes in an order that is not fixed.")
    except TargetError:
        # What fails here fails in a probe too, which reports it.
        return tuple(found)
    if target.device.type != "cpu" and not torch.are_deterministic_algorithms_enabled():
        found.append(f"On {target.device.type} sums are taken in an order that is not fixed; "
                     "torch.use_deterministic_algorithms(True) in the file fixes most of them.")
    return tuple(found)


def _same_losses(target: Target, store: BatchStore, seed: int) -> bool:
    (batch,) = store.train(1)
    losses = []
    begin = time.perf_counter()
    for _ in range(2):
        with seeded(seed):
            loss = Bench(target).loss(batches.private(batch)).loss.detach()
            losses.append(loss)
        if time.perf_counter() - begin > _SECONDS:
            # Making the model is slow; the next runs have better use for the time.
            return True
    return _same([losses[0]], [losses[1]])


def _same(one: Any, other: Any) -> bool:
    mine, theirs = list(batches.tensors_of(one)), list(batches.tensors_of(other))
    return len(mine) == len(theirs) and all(
        a.shape == b.shape and a.dtype == b.dtype and (
            a.layout != torch.strided or torch.equal(a.nan_to_num(), b.nan_to_num()))
        for a, b in zip(mine, theirs, strict=True))
