"""An LSTM that tells which of four waves a noisy sequence holds."""

import math

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def waves(size, seed, length=24):
    g = torch.Generator().manual_seed(seed)
    kind = torch.randint(0, 4, (size,), generator=g)
    phase = 1.5 * torch.rand(size, 1, generator=g)
    t = torch.arange(length) / length
    x = 1.2 * torch.sin(2 * math.pi * (kind.unsqueeze(1) + 1) * t + phase)
    x = x + 0.5 * torch.randn(size, length, generator=g)
    return TensorDataset(x.unsqueeze(-1), kind)


class LSTMClassifier(nn.Module):
    def __init__(self, hidden=48):
        super().__init__()
        self.lstm = nn.LSTM(1, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 4)

    def forward(self, x):
        _, (h, _) = self.lstm(x)
        return self.head(h[-1])


train_loader = DataLoader(waves(6000, 0), batch_size=64, shuffle=True)
val_loader = DataLoader(waves(1000, 1), batch_size=200)
loss_fn = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
