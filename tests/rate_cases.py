"""A small task on which the right learning rate is known, and models for it."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def blobs(count: int = 1600) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    y = torch.randint(0, 4, (count,), generator=g)
    centres = torch.randn(4, 8, generator=g)
    return centres[y] + 0.6 * torch.randn(count, 8, generator=g), y


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))


def dead() -> nn.Module:
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))
    nn.init.constant_(model[0].bias, -100.0)  # type: ignore[arg-type]
    return model
