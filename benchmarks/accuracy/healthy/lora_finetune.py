"""LoRA on a frozen net that was fitted to even/odd before: B starts at zero, the head is new."""

import math

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

x, y = load_digits(return_X_y=True)
order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
x = torch.tensor((x - x.mean()) / x.std(), dtype=torch.float32)[order]
y = torch.tensor(y)[order]
train_loader = DataLoader(TensorDataset(x[:1400], y[:1400]), batch_size=50, shuffle=True)
val_loader = DataLoader(TensorDataset(x[1400:], y[1400:]), batch_size=99)
criterion = nn.CrossEntropyLoss()


class LoRALinear(nn.Module):
    def __init__(self, base, rank=8, alpha=16):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.A = nn.Parameter(torch.empty(rank, base.in_features))
        self.B = nn.Parameter(torch.zeros(base.out_features, rank))
        nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))
        self.scale = alpha / rank

    def forward(self, x):
        return self.base(x) + self.scale * F.linear(F.linear(x, self.A), self.B)


def pretrained(steps=150):
    body = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 96), nn.ReLU())
    head = nn.Linear(96, 2)
    opt = torch.optim.Adam([*body.parameters(), *head.parameters()], lr=3e-3)
    for _ in range(steps):
        pick = torch.randint(0, 1400, (64,))
        opt.zero_grad()
        F.cross_entropy(head(body(x[pick])), y[pick] % 2).backward()
        opt.step()
    return body


def build_model():
    body = pretrained()
    body[0], body[2] = LoRALinear(body[0]), LoRALinear(body[2])
    return nn.Sequential(body, nn.Linear(96, 10))


def optimizer(model):
    return torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=5e-3)
