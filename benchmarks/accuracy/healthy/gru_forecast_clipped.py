"""Forecasting with a GRU. Gradients are clipped by hooks that build_model hangs on."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def series(size, seed, length=30):
    g = torch.Generator().manual_seed(seed)
    period = 6 + 8 * torch.rand(size, 1, generator=g)
    phase = 6.28 * torch.rand(size, 1, generator=g)
    t = torch.arange(length + 1)
    x = 1.4 * torch.sin(6.28 * t / period + phase)
    x = x + 0.1 * torch.randn(size, length + 1, generator=g)
    return TensorDataset(x[:, :-1].unsqueeze(-1), x[:, 1:].unsqueeze(-1))


class Forecaster(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.gru = nn.GRU(1, hidden, batch_first=True)
        self.out = nn.Linear(hidden, 1)

    def forward(self, x):
        h, _ = self.gru(x)
        return self.out(h)


def build_model():
    model = Forecaster()
    for p in model.parameters():
        p.register_hook(lambda grad: grad.clamp(-1.0, 1.0))
    return model


train_loader = DataLoader(series(4000, 1), batch_size=50, shuffle=True)
val_loader = DataLoader(series(500, 2), batch_size=100)
loss_fn = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-2)
