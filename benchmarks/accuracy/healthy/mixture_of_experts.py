"""A sparse mixture of six experts with a balancing term; only two run for each sample."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

x, y = load_digits(return_X_y=True)
order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
x = torch.tensor((x - x.mean()) / x.std(), dtype=torch.float32)[order]
y = torch.tensor(y)[order]
train_loader = DataLoader(TensorDataset(x[:1400], y[:1400]), batch_size=64, shuffle=True)
val_loader = DataLoader(TensorDataset(x[1400:], y[1400:]), batch_size=99)


class MoE(nn.Module):
    def __init__(self, dim=48, experts=6, k=2):
        super().__init__()
        self.k = k
        self.stem = nn.Linear(64, dim)
        self.gate = nn.Linear(dim, experts, bias=False)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(dim, 2 * dim), nn.ReLU(), nn.Linear(2 * dim, dim))
            for _ in range(experts)
        )
        self.head = nn.Linear(dim, 10)

    def forward(self, x):
        x = F.relu(self.stem(x))
        weights = self.gate(x).softmax(dim=-1)
        top, chosen = weights.topk(self.k, dim=-1)
        top = top / top.sum(-1, keepdim=True)
        out = torch.zeros_like(x)
        for i, expert in enumerate(self.experts):
            row, slot = torch.where(chosen == i)
            if len(row):
                out = out.index_add(0, row, top[row, slot].unsqueeze(1) * expert(x[row]))
        balance = weights.mean(0).pow(2).sum() * len(self.experts) - 1
        return self.head(x + out), balance


def build_model():
    return MoE()


def training_step(model, batch):
    inputs, target = batch
    logits, balance = model(inputs)
    return F.cross_entropy(logits, target) + 0.01 * balance


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
