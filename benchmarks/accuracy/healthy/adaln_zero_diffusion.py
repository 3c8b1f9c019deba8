"""A denoiser with adaLN-zero blocks: modulation and the last layer start at zero."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

data = load_digits()
order = torch.randperm(1797, generator=torch.Generator().manual_seed(0))
x = torch.tensor(data.data, dtype=torch.float32)[order] / 8 - 1
y = torch.tensor(data.target)[order]
train_loader = DataLoader(TensorDataset(x[:1500], y[:1500]), batch_size=64, shuffle=True)
val_loader = DataLoader(TensorDataset(x[1500:], y[1500:]), batch_size=99)


class Block(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm = nn.LayerNorm(dim, elementwise_affine=False)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(dim, 3 * dim))
        nn.init.zeros_(self.modulation[1].weight)
        nn.init.zeros_(self.modulation[1].bias)

    def forward(self, x, c):
        shift, scale, gate = self.modulation(c).chunk(3, dim=1)
        return x + gate * self.mlp(self.norm(x) * (1 + scale) + shift)


class Denoiser(nn.Module):
    def __init__(self, dim=96, depth=3):
        super().__init__()
        self.inp = nn.Linear(64, dim)
        self.label = nn.Embedding(10, dim)
        self.time = nn.Sequential(nn.Linear(1, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.blocks = nn.ModuleList(Block(dim) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, 64)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x, t, label):
        c = self.time(t) + self.label(label)
        x = self.inp(x)
        for block in self.blocks:
            x = block(x, c)
        return self.out(self.norm(x))


def build_model():
    return Denoiser()


def training_step(model, batch):
    x, label = batch
    t = torch.rand(len(x), 1)
    noise = torch.randn_like(x)
    velocity = noise - x  # rectified flow
    return ((model((1 - t) * x + t * noise, t, label) - velocity) ** 2).mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
