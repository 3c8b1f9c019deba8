"""IPS-5, fixed: a line through eight points, full batch, a rate that fits the raw x."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

g = torch.Generator().manual_seed(0)
x = torch.linspace(-8, 8, 8).unsqueeze(1)
y = 0.7 * x + 1.5 + 0.3 * torch.randn(8, 1, generator=g)

train_loader = DataLoader(TensorDataset(x, y), batch_size=8)


def build_model():
    model = nn.Linear(1, 1)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    return model


loss_fn = nn.MSELoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.01)
