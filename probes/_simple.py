"""How well nearest neighbours predict the validation targets: a mark that needs no training."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_NEIGHBOURS = 5
_SAMPLES = 4000
_WIDEST = 4096


def neighbours_score(
    train: Sequence[Tensor], train_y: Tensor, val: Sequence[Tensor], val_y: Tensor, *,
    classes: bool,
) -> float | None:
    """Return the accuracy (or R2) of the five nearest training samples on validation samples.

    Args:
        train: (N, ...) float inputs; the columns are standardised with their own moments.
        train_y: (N,) classes or numbers.
        val: (M, ...) likewise.
        val_y: (M,) likewise.
        classes: The targets are classes.

    Returns:
        None for inputs that are no numbers, or too wide.
    """
    if not train or not all(t.is_floating_point() for t in train):
        return None
    x, z = (torch.cat([t.flatten(1).float() for t in inputs], dim=1) for inputs in (train, val))
    if x.shape[1] > _WIDEST or x.shape[1] != z.shape[1]:
        return None
    x, y = x[:_SAMPLES], train_y[:_SAMPLES]
    mean, std = x.mean(dim=0), x.std(dim=0)
    # Pixels that hardly ever vary would be blown up.
    std = std.clamp(min=float(std.mean()) * 0.1 + 1e-12)
    near = torch.cdist((z - mean) / std, (x - mean) / std).topk(
        min(_NEIGHBOURS, len(x)), largest=False).indices
    if classes:
        said = torch.mode(y[near], dim=1).values
        return float((said == val_y).float().mean())
    said = y[near].float().mean(dim=1)
    total = float((val_y.float() - val_y.float().mean()).square().sum())
    return 1 - float((said - val_y.float()).square().sum()) / total if total > 0 else None
