"""Small models for the probe `layers`, and what it measured."""

from __future__ import annotations

from collections.abc import Callable

import torch
from builders import observe, target
from torch import Tensor, nn

from auditor.observation import Observation


def linear(model: nn.Sequential, index: int) -> nn.Linear:
    layer = model[index]
    assert isinstance(layer, nn.Linear)
    return layer


def samples(size: int = 960, features: int = 32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(size, features, generator=generator)
    return x, x[:, :4].argmax(dim=1)


def observed(
    make: Callable[[], nn.Module], *, lr: float = 0.05,
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.SGD,
    data: tuple[Tensor, Tensor] | None = None, loss: object = None,
) -> Observation:
    audited = target(make, *(data or samples()), loss, lr=lr, batch_size=64,
                     optimizer=optimizer)
    observation: Observation = observe("layers", audited)
    return observation


def number(observation: Observation, name: str, subject: str = "") -> float:
    value = observation.value(name, subject)
    assert isinstance(value, (int, float)), f"{name} of {subject} was not measured"
    return float(value)


def mlp(depth: int, activation: type[nn.Module] = nn.ReLU, width: int = 32) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(width, width), activation()]
    return nn.Sequential(*layers, nn.Linear(width, 4))
