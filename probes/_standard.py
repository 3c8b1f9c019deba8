"""Standardising inputs: their means and standard deviations, as code and as a change of batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from auditor import batches

from ._features import channel_dim

_PRINTED = 12


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


def standardising_code(inputs: Sequence[Tensor | None]) -> str:
    """Return code with the means and standard deviations of the first float input."""
    tensor = next((t for t in inputs if t is not None and t.dim() > 1), None)
    if tensor is None:
        return "x = (x - mean) / std  # of the training set"
    if not tensor.is_floating_point():
        tensor = tensor.float()
    pair = moments(tensor)
    assert pair is not None
    mean, std = pair
    if mean.numel() > _PRINTED:
        return ("mean, std = x_train.mean(dim=0), x_train.std(dim=0)\n"
                "x = (x - mean) / std.clamp(min=1e-6)")
    shape = [1 if d != channel_dim(tensor) else -1 for d in range(1, tensor.dim())]
    view = f".view({', '.join(map(str, shape))})" if len(shape) > 1 else ""
    return (f"mean = torch.tensor([{_numbers(mean)}]){view}\n"
            f"std = torch.tensor([{_numbers(std)}]){view}\n"
            "x = (x - mean) / std  # the same numbers for training and validation")


def _numbers(values: Tensor) -> str:
    return ", ".join(f"{value:.4g}" for value in values.flatten().tolist())
