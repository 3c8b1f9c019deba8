"""Regression on the diabetes table, standardised, AdamW with decay on the weights only."""

import numpy as np
import torch
from sklearn.datasets import load_diabetes
from torch import nn
from torch.utils.data import TensorDataset

x, y = load_diabetes(return_X_y=True)
order = np.random.RandomState(0).permutation(len(y))
x, y = x[order], y[order]
x = (x - x[:340].mean(0)) / x[:340].std(0)
y = (y - y[:340].mean()) / y[:340].std()
x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)

train_dataset = TensorDataset(x[:340], y[:340])
val_dataset = TensorDataset(x[340:], y[340:])
batch_size = 32


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(10, 8), nn.Tanh(), nn.Linear(8, 1))

    def forward(self, x):
        return self.net(x).squeeze(-1)


loss_fn = nn.MSELoss()


def optimizer(model):
    weights = [p for p in model.parameters() if p.ndim > 1]
    biases = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": weights, "weight_decay": 0.05}, {"params": biases, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=5e-3)
