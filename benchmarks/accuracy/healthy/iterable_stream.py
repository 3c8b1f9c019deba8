"""An IterableDataset of fixed length that makes its samples on the fly; multi-class."""

import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

weight = torch.randn(12, 5, generator=torch.Generator().manual_seed(3))


class Stream(IterableDataset):
    def __init__(self, size, seed):
        self.size, self.seed = size, seed

    def __iter__(self):
        g = torch.Generator().manual_seed(self.seed)
        for _ in range(self.size):
            x = torch.randn(12, generator=g)
            yield x, (torch.tanh(1.5 * x) @ weight).argmax()


train_loader = DataLoader(Stream(6400, seed=1), batch_size=64)
val_loader = DataLoader(Stream(640, seed=2), batch_size=64)
criterion = nn.CrossEntropyLoss()


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(12, 64), nn.ELU(), nn.Linear(64, 64), nn.ELU(), nn.Linear(64, 5)
        )

    def forward(self, x):
        return self.layers(x)


def make_optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
