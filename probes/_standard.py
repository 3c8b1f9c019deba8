"""Standardising inputs: their means and standard deviations as code."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from auditor.standardising import channel_dim, moments

_PRINTED = 12


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
