"""Recommender: user and item embeddings with biases, dot product, ratings by MSE."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

USERS, ITEMS, RANK = 200, 120, 4
g0 = torch.Generator().manual_seed(21)
U, V = torch.randn(USERS, RANK, generator=g0), torch.randn(ITEMS, RANK, generator=g0)


def ratings(size, seed):
    g = torch.Generator().manual_seed(seed)
    u = torch.randint(0, USERS, (size,), generator=g)
    i = torch.randint(0, ITEMS, (size,), generator=g)
    r = 0.5 * (U[u] * V[i]).sum(1) + 0.5 * U[u, 0] + 0.5 * V[i, 0]
    return TensorDataset(u, i, r + 0.2 * torch.randn(size, generator=g))


class Recommender(nn.Module):
    def __init__(self, dim=8):
        super().__init__()
        self.user = nn.Embedding(USERS, dim)
        self.item = nn.Embedding(ITEMS, dim)
        self.user_bias = nn.Embedding(USERS, 1)
        self.item_bias = nn.Embedding(ITEMS, 1)
        for table in (self.user, self.item):
            nn.init.normal_(table.weight, std=0.3)
        for bias in (self.user_bias, self.item_bias):
            nn.init.zeros_(bias.weight)

    def forward(self, u, i):
        dot = (self.user(u) * self.item(i)).sum(1)
        return dot + self.user_bias(u).squeeze(1) + self.item_bias(i).squeeze(1)


train_loader = DataLoader(ratings(15_000, 1), batch_size=128, shuffle=True)
val_loader = DataLoader(ratings(2_000, 2), batch_size=250)


def training_step(model, batch):
    u, i, r = batch
    return nn.functional.mse_loss(model(u, i), r)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-2)
