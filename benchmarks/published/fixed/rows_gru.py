"""Digits read row by row by a GRU, batch first."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

digits = load_digits()
order = torch.randperm(1797, generator=torch.Generator().manual_seed(0))
rows = torch.tensor(digits.images, dtype=torch.float32)[order]
rows = (rows - rows.mean()) / rows.std()
labels = torch.tensor(digits.target)[order]

train_loader = DataLoader(TensorDataset(rows[:1500], labels[:1500]), batch_size=32, shuffle=True)
val_loader = DataLoader(TensorDataset(rows[1500:], labels[1500:]), batch_size=99)


class RowReader(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(8, 64, batch_first=True)
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        states, _ = self.gru(x)
        return self.head(states[:, -1])


def build_model():
    return RowReader()


loss_fn = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
