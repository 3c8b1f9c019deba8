"""Tabular data: embeddings for three categorical columns, numbers beside them, two inputs."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SIZES = (7, 12, 30)
effects = [torch.randn(n, generator=torch.Generator().manual_seed(n)) for n in SIZES]


def rows(size, seed):
    g = torch.Generator().manual_seed(seed)
    cats = torch.stack([torch.randint(0, n, (size,), generator=g) for n in SIZES], dim=1)
    nums = torch.randn(size, 5, generator=g)
    score = sum(e[cats[:, i]] for i, e in enumerate(effects)) + nums[:, 0] * nums[:, 1]
    score = score + 0.3 * torch.randn(size, generator=g)
    return TensorDataset(cats, nums, (score > 0).float())


class TabularNet(nn.Module):
    def __init__(self):
        super().__init__()
        dims = [4, 6, 8]
        self.embeddings = nn.ModuleList(nn.Embedding(n, d) for n, d in zip(SIZES, dims))
        self.norm = nn.BatchNorm1d(5)
        self.fc1 = nn.Linear(sum(dims) + 5, 64)
        self.fc2 = nn.Linear(64, 32)
        self.out = nn.Linear(32, 1)

    def forward(self, cats, nums):
        x = [e(cats[:, i]) for i, e in enumerate(self.embeddings)] + [self.norm(nums)]
        x = torch.relu(self.fc1(torch.cat(x, dim=1)))
        x = torch.relu(self.fc2(x))
        return self.out(x).squeeze(1)


train_loader = DataLoader(rows(8000, 1), batch_size=64, shuffle=True, drop_last=True)
val_loader = DataLoader(rows(1000, 2), batch_size=200)
loss_fn = nn.BCEWithLogitsLoss()


def training_step(model, batch):
    cats, nums, y = batch
    return loss_fn(model(cats, nums), y)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)
