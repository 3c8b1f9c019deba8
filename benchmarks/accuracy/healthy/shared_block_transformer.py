"""One attention block used three times in a row by design (as in ALBERT)."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

VOCAB, LENGTH = 16, 10


def sequences(size, seed):
    """Of three marked tokens (0, 1, 2), which one occurs most often?"""
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 3, (size,), generator=g)
    x = torch.randint(0, VOCAB, (size, LENGTH), generator=g)
    x[:, :3] = y.unsqueeze(1)
    shuffled = torch.rand(size, LENGTH, generator=g).argsort(1)
    return TensorDataset(x.gather(1, shuffled), y)


class Recurrent(nn.Module):
    def __init__(self, dim=32, rounds=3):
        super().__init__()
        self.rounds = rounds
        self.embed = nn.Embedding(VOCAB, dim)
        self.block = nn.TransformerEncoderLayer(
            dim, 4, 64, dropout=0.0, batch_first=True, norm_first=True
        )
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, 3)

    def forward(self, x):
        x = self.embed(x)
        for _ in range(self.rounds):
            x = self.block(x)
        return self.head(self.norm(x).mean(1))


train_loader = DataLoader(sequences(6000, 1), batch_size=64, shuffle=True)
val_loader = DataLoader(sequences(800, 2), batch_size=100)
loss_fn = nn.CrossEntropyLoss()


def build_model():
    return Recurrent()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
