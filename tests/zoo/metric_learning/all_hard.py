"""A triplet net that sees hard negatives only: it collapses to one point."""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

MARGIN = 0.2

digits, labels = load_digits(return_X_y=True)
order = np.random.RandomState(0).permutation(len(labels))
digits, labels = torch.tensor(digits[order], dtype=torch.float32), torch.tensor(labels[order])
digits = (digits - digits[:1400].mean()) / digits[:1400].std()
train_loader = DataLoader(
    TensorDataset(digits[:1400], labels[:1400]), batch_size=100, shuffle=True, drop_last=True
)
val_loader = DataLoader(TensorDataset(digits[1400:], labels[1400:]), batch_size=100, drop_last=True)


class Embedder(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(64, 128)
        self.fc2 = nn.Linear(128, 128)
        self.fc3 = nn.Linear(128, 16)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


def training_step(model, batch):
    """The hardest positive and the hardest negative of every anchor."""
    x, y = batch
    z = model(x)
    d = ((z.unsqueeze(0) - z.unsqueeze(1)) ** 2).sum(-1)
    same = y.unsqueeze(0) == y.unsqueeze(1)
    hardest_positive = d.masked_fill(~same, 0.0).max(1).values
    hardest_negative = d.masked_fill(same, float("inf")).min(1).values
    return F.relu(hardest_positive - hardest_negative + MARGIN).mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)
