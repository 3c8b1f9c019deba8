"""Three quantiles at once by the pinball loss; the noise grows with the input."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

QUANTILES = torch.tensor([0.1, 0.5, 0.9])


def sample(size, seed):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(size, 6, generator=g)
    scale = 0.2 + 0.3 * torch.sigmoid(x[:, 1])
    y = torch.sin(2 * x[:, 0]) + 0.5 * x[:, 2] + scale * torch.randn(size, generator=g)
    return TensorDataset(x, y)


def pinball(output, target):
    error = target.unsqueeze(1) - output
    return torch.maximum(QUANTILES * error, (QUANTILES - 1) * error).mean()


def build_model():
    return nn.Sequential(
        nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3)
    )


train_loader = DataLoader(sample(6000, 1), batch_size=64, shuffle=True)
val_loader = DataLoader(sample(1000, 2), batch_size=250)
loss_fn = pinball


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)
