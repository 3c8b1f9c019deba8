"""Counts with PoissonNLLLoss; the net puts out the log of the rate."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def counts(size, seed):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(size, 8, generator=g)
    log_rate = 0.8 + 0.7 * x[:, 0] - 0.5 * x[:, 1] * (x[:, 2] > 0)
    return TensorDataset(x, torch.poisson(log_rate.exp(), generator=g))


class LogRate(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU())
        self.head = nn.Linear(32, 1)

    def forward(self, x):
        return self.head(self.body(x)).squeeze(1)


train_loader = DataLoader(counts(8000, 1), batch_size=100, shuffle=True)
val_loader = DataLoader(counts(2000, 2), batch_size=500)
loss_fn = nn.PoissonNLLLoss(log_input=True)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
