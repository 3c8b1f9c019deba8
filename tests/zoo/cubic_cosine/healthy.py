"""A cubic polynomial fitted to cos x on scaled powers of x."""

import math

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def points(size, seed):
    g = torch.Generator().manual_seed(seed)
    x = math.pi * (2 * torch.rand(size, generator=g) - 1)
    return torch.stack([x, x**2, x**3], dim=1), torch.cos(x)


(x_train, y_train), (x_val, y_val) = points(2000, 1), points(500, 2)
mean, std = x_train.mean(0), x_train.std(0)
x_train, x_val = (x_train - mean) / std, (x_val - mean) / std
train_loader = DataLoader(TensorDataset(x_train, y_train), batch_size=50, shuffle=True)
val_loader = DataLoader(TensorDataset(x_val, y_val), batch_size=250)


class Cubic(nn.Module):
    """y = a + b x + c x^2 + d x^3."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 1)

    def forward(self, powers):
        return self.linear(powers).squeeze(1)


loss_fn = nn.MSELoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1)
