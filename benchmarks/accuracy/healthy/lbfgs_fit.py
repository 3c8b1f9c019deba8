"""A small smooth fit with LBFGS (full batches, a closure is needed)."""

import math

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def curve(size, seed):
    g = torch.Generator().manual_seed(seed)
    x = 2 * torch.rand(size, 1, generator=g) - 1
    y = torch.sin(math.pi * x) + 0.05 * torch.randn(size, 1, generator=g)
    return TensorDataset(x / 0.577, y)


train_loader = DataLoader(curve(512, 1), batch_size=512, shuffle=True)
val_loader = DataLoader(curve(256, 2), batch_size=256)
loss_fn = nn.MSELoss()


def build_model():
    return nn.Sequential(nn.Linear(1, 24), nn.Tanh(), nn.Linear(24, 1))


def optimizer(model):
    return torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=4, history_size=10)
