"""Adafactor on a small attention pooling net."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def bags(size, seed):
    """Ten instances a bag; its class is that of the one instance with a large first feature."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(size, 10, 8, generator=g)
    key = torch.randint(0, 10, (size,), generator=g)
    y = torch.randint(0, 4, (size,), generator=g)
    rows = torch.arange(size)
    x[rows, key, 0] += 4.0
    x[rows, key, 1 + y] += 3.0
    return TensorDataset((x - x.mean()) / x.std(), y)


class AttentionPool(nn.Module):
    def __init__(self, dim=32):
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(8, dim), nn.ReLU())
        self.score = nn.Sequential(nn.Linear(dim, 16), nn.Tanh(), nn.Linear(16, 1, bias=False))
        self.head = nn.Linear(dim, 4)

    def forward(self, x):
        h = self.encode(x)
        a = self.score(h).softmax(dim=1)
        return self.head((a * h).sum(1))


train_loader = DataLoader(bags(6000, 1), batch_size=64, shuffle=True)
val_loader = DataLoader(bags(800, 2), batch_size=100)
loss_fn = nn.CrossEntropyLoss()


def build_model():
    return AttentionPool()


def optimizer(model):
    return torch.optim.Adafactor(model.parameters(), lr=0.05)
