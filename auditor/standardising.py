"""Standardising inputs: where features lie, their moments, and a change of batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from auditor import batches
from auditor.fields import can_be_replaced, features_of, with_fields
from auditor.isolation import seeded
from auditor.losscall import LossCalls
from auditor.recorder import watching
from auditor.target import Target
from auditor.trial import Bench

_IMAGE_CHANNELS = (1, 2, 3, 4)


def channel_dim(tensor: Tensor) -> int:
    """Return the dimension along which the features of an input lie."""
    shape = tensor.shape
    if tensor.dim() == 4:
        last = shape[3] in _IMAGE_CHANNELS and shape[1] not in _IMAGE_CHANNELS
        return 3 if last else 1
    if tensor.dim() == 3:
        return 1 if shape[1] <= 8 and shape[2] > 4 * shape[1] else 2
    return 1


def moments(tensor: Tensor) -> tuple[Tensor, Tensor] | None:
    """Return mean and std per feature of (N, ...) float inputs, shaped to broadcast against them.

    A constant feature gets the std 1. None for integers and for one number per sample.
    """
    if not tensor.is_floating_point() or tensor.dim() < 2:
        return None
    dim = channel_dim(tensor)
    others = [d for d in range(tensor.dim()) if d != dim]
    finite = torch.nan_to_num(tensor.double(), nan=0.0, posinf=0.0, neginf=0.0)
    mean = finite.mean(dim=others, keepdim=True)
    std = finite.std(dim=others, keepdim=True, unbiased=False)
    std = torch.where(std > 1e-6 * mean.abs(), std, torch.ones_like(std))
    return mean.to(tensor.dtype), std.to(tensor.dtype)


def standardising(inputs: Sequence[Tensor | None]) -> Callable[[Any], Any]:
    """Return a change of batches after which the float inputs have mean 0 and std 1."""
    found = [moments(t) if t is not None else None for t in inputs]

    def change(batch: Any) -> Any:
        own = dict(zip(map(id, batches.split(batch).inputs), found, strict=False))

        def scaled(tensor: Tensor) -> Tensor:
            pair = own.get(id(tensor))
            if pair is None:
                return tensor
            mean, std = (value.to(tensor.device) for value in pair)
            return (tensor - mean) / std

        return batches.map_tensors(batch, scaled)

    return change


def scalable(
    inputs: Sequence[Tensor | None], batch: Any, compared: Sequence[Tensor],
) -> list[Tensor | None]:
    """Return those inputs that can be scaled without changing what the loss compares with.

    Args:
        inputs: (N, ...) of several batches joined, in the order of a batch's inputs.
        batch: The first of them.
        compared: What the loss compares with on it.
    """
    return [None if any(batches.same_values(own, other) for other in compared) else joined
            for joined, own in zip(inputs, batches.split(batch).inputs, strict=False)]


def standardising_fields(
    read: Sequence[Any], compared: Sequence[Tensor],
) -> Callable[[Any], Any] | None:
    """Return the same change for batches that are objects with features of nodes and edges.

    Args:
        read: Some of the batches.
        compared: What the loss compares with on the first of them; to scale that would change the
            loss.

    Returns:
        None where there is nothing to change, or the objects do not allow it.
    """
    columns: dict[str, list[Tensor]] = {}
    for batch in read:
        for name, tensor in features_of(batch).items():
            columns.setdefault(name, []).append(tensor)
    found = {}
    for name, column in columns.items():
        wanted = any(batches.same_values(column[0], other) for other in compared)
        if not wanted and len({t.shape[1:] for t in column}) == 1 and can_be_replaced(
                read[0], name):
            found[name] = moments(torch.cat(column))

    def change(batch: Any) -> Any:
        scaled = {}
        for name, tensor in features_of(batch).items():
            pair = found.get(name)
            if pair is not None:
                mean, std = (value.to(tensor.device) for value in pair)
                scaled[name] = (tensor - mean) / std
        return with_fields(batch, scaled)

    return change if any(found.values()) else None


def compared_with(target: Target, batch: Any, seed: int) -> list[Tensor]:
    """Return what known losses compare with in one pass of a fresh model.

    Raises:
        TargetError: The user's code failed.
    """
    calls = LossCalls()
    with seeded(seed):
        bench = Bench(target)
        with watching(bench.model, calls):
            bench.loss(batches.private(batch))
    return [call.target for call in calls.calls if call.target is not None]
