"""Six labels that do not exclude each other, BCEWithLogitsLoss, Adadelta."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

rule = torch.randn(16, 6, generator=torch.Generator().manual_seed(42))


def make_set(size, seed):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(size, 16, generator=g)
    score = torch.tanh(x) @ rule
    return TensorDataset(x, (score > 0).float())


train_set, val_set = make_set(8000, 1), make_set(1000, 2)
train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
val_loader = DataLoader(val_set, batch_size=200)

net = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 6))
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adadelta(net.parameters(), lr=1.0)
