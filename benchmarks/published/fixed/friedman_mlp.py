"""Regression on Friedman's first formula, inputs and target standardised."""

import torch
from sklearn.datasets import make_friedman1
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

table, target = make_friedman1(n_samples=1500, noise=1.0, random_state=0)
inputs = torch.tensor((table - 0.5) / 0.29, dtype=torch.float32)
targets = torch.tensor((target - 14.4) / 5.0, dtype=torch.float32).unsqueeze(1)

train_loader = DataLoader(
    TensorDataset(inputs[:1200], targets[:1200]), batch_size=32, shuffle=True)
val_loader = DataLoader(TensorDataset(inputs[1200:], targets[1200:]), batch_size=100)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(10, 32)
        self.fc2 = nn.Linear(32, 32)
        self.out = nn.Linear(32, 1)

    def forward(self, x):
        x = torch.relu(self.fc1(x))
        x = torch.relu(self.fc2(x))
        return self.out(x)


def build_model():
    return Net()


loss_fn = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
