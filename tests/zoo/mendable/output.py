from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset


def make_model() -> nn.Module:
    return nn.Sequential(
        nn.Linear(20, 64),
        nn.ReLU(),
        nn.Linear(64, 4),
        nn.Softmax(dim=-1),  # probabilities für alle
    )


def make_optimizer(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.1)


def loss_fn(output: Tensor, target: Tensor) -> Tensor:
    return nn.functional.cross_entropy(output, target)


def data(count: int = 2000) -> TensorDataset:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(count, 20, generator=g)
    y = (x @ torch.randn(20, 4, generator=g)).argmax(1)
    return TensorDataset(x, y)


train_loader = DataLoader(data(), batch_size=50, shuffle=True)
