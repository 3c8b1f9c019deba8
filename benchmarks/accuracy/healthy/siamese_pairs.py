"""A siamese net: a shared encoder, the absolute difference, one logit for 'same digit'."""

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

x, y = load_digits(return_X_y=True)
order = np.random.RandomState(0).permutation(len(y))
x, y = ((x[order] - 4.88) / 6.02).astype("float32"), y[order]


def pairs(x, y, size, seed):
    rng = np.random.default_rng(seed)
    left = rng.integers(len(y), size=size)
    right = rng.integers(len(y), size=size)
    for k in range(0, size, 2):  # every second pair shows the same digit
        right[k] = rng.choice(np.flatnonzero(y == y[left[k]]))
    same = (y[left] == y[right]).astype("float32")
    return TensorDataset(torch.tensor(x[left]), torch.tensor(x[right]), torch.tensor(same))


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 32))
        self.head = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, a, b):
        gap = (self.encoder(a) - self.encoder(b)).abs()
        return self.head(gap).squeeze(1)


train_loader = DataLoader(pairs(x[:1400], y[:1400], 6000, 1), batch_size=64, shuffle=True)
val_loader = DataLoader(pairs(x[1400:], y[1400:], 800, 2), batch_size=100)
criterion = nn.BCEWithLogitsLoss()


def training_step(model, batch):
    a, b, same = batch
    return criterion(model(a, b), same)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
