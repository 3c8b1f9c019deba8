"""Small tables whose rule is known, and the probe of the data on them."""
from __future__ import annotations

from typing import Any

import torch
from builders import observe, target
from torch import Tensor, nn

from auditor.observation import Observation

N, FEATURES, CLASSES = 600, 6, 3


def table(seed: int = 0, samples: int = N) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(samples, FEATURES, generator=g)
    truth = torch.randn(FEATURES, CLASSES, generator=torch.Generator().manual_seed(9))
    return x, (x @ truth).argmax(dim=1)


def mlp(outputs: int = CLASSES) -> nn.Module:
    return nn.Sequential(nn.Linear(FEATURES, 16), nn.ReLU(), nn.Linear(16, outputs))


def looked_at(x: Tensor, y: Tensor, loss_fn: Any = None, **settings: Any) -> Observation:
    make = settings.pop("make_model", mlp)
    return observe("data", target(make, x, y, loss_fn, **settings))


def number(observation: Observation, name: str) -> float:
    value = observation.value(name)
    assert isinstance(value, (int, float)), f"{name} is {value}: {observation.absent.get(name)}"
    return float(value)
