"""Samples that loader workers draw, each from a generator seeded by its index."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Rings(Dataset):
    def __init__(self, size, seed):
        self.size = size
        self.rng = np.random.default_rng(seed)
        self.seed = seed

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        rng = np.random.default_rng((self.seed, index))
        kind = int(rng.integers(3))
        angle, radius = rng.uniform(0, 2 * np.pi), 0.6 * kind + rng.normal(0.5, 0.1)
        point = np.array([np.cos(angle), np.sin(angle)]) * radius
        return torch.tensor(point, dtype=torch.float32), kind


train_loader = DataLoader(Rings(1200, 0), batch_size=32, num_workers=2, shuffle=True)
val_loader = DataLoader(Rings(300, 1), batch_size=100)


def build_model():
    return nn.Sequential(
        nn.Linear(2, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 3))


loss_fn = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
