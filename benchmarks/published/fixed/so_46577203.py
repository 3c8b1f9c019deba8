"""IPS-17, fixed: four points of a parabola from the features x^2 and x, the mean of the squares."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

x = torch.tensor([0.0, 1.0, 2.0, 3.0])
rows = torch.stack([x**2, x], dim=1)
y = (x**2).unsqueeze(1)

train_loader = DataLoader(TensorDataset(rows, y), batch_size=4)


def build_model():
    model = nn.Linear(2, 1)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    return model


def loss_fn(output, target):
    return ((output - target) ** 2).mean()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.01)
