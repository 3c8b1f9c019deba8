"""A siamese net whose loss only pulls: nothing keeps the points apart."""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Dataset

digits, labels = load_digits(return_X_y=True)
order = np.random.RandomState(0).permutation(len(labels))
digits, labels = digits[order].astype("float32"), labels[order]
digits = (digits - digits[:1400].mean()) / digits[:1400].std()


class Pairs(Dataset):
    """Half of the pairs show the same digit (same = 1)."""

    def __init__(self, x, y, size, seed):
        rng = np.random.default_rng(seed)
        first = rng.integers(len(y), size=size)
        same = rng.integers(2, size=size)
        second = [rng.choice(np.flatnonzero((y == y[i]) == bool(s))) for i, s in zip(first, same)]
        self.a, self.b = torch.tensor(x[first]), torch.tensor(x[second])
        self.same = torch.tensor(same, dtype=torch.float32)

    def __len__(self):
        return len(self.same)

    def __getitem__(self, i):
        return self.a[i], self.b[i], self.same[i]


train_loader = DataLoader(Pairs(digits[:1400], labels[:1400], 4000, 1), batch_size=64, shuffle=True)
val_loader = DataLoader(Pairs(digits[1400:], labels[1400:], 500, 2), batch_size=100)


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 16))

    def forward(self, a, b):
        return self.embed(a), self.embed(b)


def training_step(model, batch):
    a, b, same = batch
    za, zb = model(a, b)
    distance = F.pairwise_distance(za, zb)
    return (same * distance**2).mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
