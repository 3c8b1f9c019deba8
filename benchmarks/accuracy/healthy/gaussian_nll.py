"""Mean and variance at once: GaussianNLLLoss, softplus for the variance."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def sample(size, seed):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(size, 4, generator=g)
    mean = torch.sin(1.5 * x[:, 0]) + 0.5 * x[:, 1]
    std = 0.15 + 0.4 * torch.sigmoid(2 * x[:, 2])
    return TensorDataset(x, mean + std * torch.randn(size, generator=g))


class MeanVariance(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh())
        self.mean = nn.Linear(64, 1)
        self.raw_variance = nn.Linear(64, 1)

    def forward(self, x):
        h = self.body(x)
        return self.mean(h).squeeze(1), F.softplus(self.raw_variance(h)).squeeze(1) + 1e-4


train_loader = DataLoader(sample(6000, 1), batch_size=64, shuffle=True)
val_loader = DataLoader(sample(1000, 2), batch_size=250)
criterion = nn.GaussianNLLLoss()


def training_step(model, batch):
    x, y = batch
    mean, variance = model(x)
    return criterion(mean, y, variance)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
