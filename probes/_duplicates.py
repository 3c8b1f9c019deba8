"""Measures copies of samples: inside the training set, and of validation samples in it."""

from __future__ import annotations

import torch
from torch import Tensor

from auditor.probe import ProbeContext

from . import _copies
from ._keys import Keys, keys_of
from ._samples import Drawing, Samples, size_of

# Equal samples that chance makes, relative to all samples, beyond which copies prove nothing.
_CHANCE = 1e-3
# But so many times as many as chance makes in the other set do, if there are few inside a set.
_FAR_BEYOND = 100.0
_FEW_VALUES = "the inputs have so few values that chance makes equal ones"
_ALONE = ("duplicate_share", "conflict_share")
_ACROSS = ("leaked_share", "leaked_share_low", "leaked_samples")


def note_copies(
    context: ProbeContext, train: Samples, val: Samples | None, has_labels: bool, how: Drawing,
) -> None:
    """Measure copies.

    Args:
        context: Of the probe.
        train: Training samples.
        val: Validation samples.
        has_labels: Each sample has one class.
        how: The loader draws its samples.
    """
    note = context.note
    keys = keys_of(train, val, context.batches.once)
    if keys is None:
        note.absent("the inputs are not one row, sequence or graph a sample", *_ALONE, *_ACROSS)
        return
    by_chance = keys.chance * train.count
    if by_chance > _CHANCE:
        note.absent(_FEW_VALUES, *_ALONE)
    elif how in ("with repeats", "by its own sampler"):
        note.absent("the sampler may draw a sample more than once", *_ALONE)
    else:
        rows = _bytes(train.target) if has_labels and train.target is not None else None
        epoch = _copies.first_epoch(keys.train)
        found = _copies.copies_in(keys.train[:epoch], rows[:epoch] if rows else None)
        note.measure("duplicate_share", found.copies / found.count, samples=found.count)
        note.measure("conflict_share", found.conflicts / found.count, samples=found.count)
        note.measure("duplicate_examples", ", ".join(f"{a} = {b}" for a, b in found.examples))
    _leak(context, train, val, keys, by_chance)


def _leak(
    context: ProbeContext, train: Samples, val: Samples | None, keys: Keys, by_chance: float,
) -> None:
    note, others = context.note, keys.val
    if others is None:
        note.absent("there are no validation samples to compare" if val is None else
                    "the validation inputs are not of the training inputs' kind", *_ACROSS)
        return
    found = _copies.found_in_other(others, keys.train)
    may_be_chance = by_chance > _CHANCE
    if may_be_chance and len(found) < _FAR_BEYOND * by_chance * len(others):
        note.absent(_FEW_VALUES, *_ACROSS)
        return
    repeats = keys.discrete or may_be_chance
    if repeats and found and _copies.twins(keys.train) > len(found) / len(others) / 2:
        note.absent("equal samples are as common inside the training set", *_ACROSS)
        return
    size = size_of(context.batches.training_pass.loader)
    coverage = 1.0 if train.exhausted or not size else min(len(set(keys.train)) / size, 1.0)
    share, low, high = _copies.share_interval(len(found), len(others), coverage)
    note.measure("leaked_share", share, samples=len(others))
    note.measure("leaked_share_low", low)
    note.measure("leaked_share_high", high)
    note.measure("leaked_samples", len(found))
    note.measure("leaked_examples", ", ".join(map(str, found[:10])))


def _bytes(target: Tensor) -> list[bytes]:
    flat = target.detach().cpu().contiguous().reshape(target.shape[0], -1)
    return [row.tobytes() for row in flat.view(torch.uint8).numpy()]
