"""Four residual blocks in a ModuleList on digits."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

digits = load_digits()
order = torch.randperm(1797, generator=torch.Generator().manual_seed(0))
inputs = torch.tensor(digits.data, dtype=torch.float32)[order]
inputs = (inputs - inputs.mean()) / inputs.std()
labels = torch.tensor(digits.target)[order]

train_loader = DataLoader(
    TensorDataset(inputs[:1500], labels[:1500]), batch_size=32, shuffle=True)
val_loader = DataLoader(TensorDataset(inputs[1500:], labels[1500:]), batch_size=99)


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)

    def forward(self, x):
        return x + self.down(torch.relu(self.up(self.norm(x))))


class Blocks(nn.Module):
    def __init__(self, width=48):
        super().__init__()
        self.first = nn.Linear(64, width)
        self.blocks = nn.ModuleList([Block(width) for _ in range(4)])
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def build_model():
    return Blocks()


loss_fn = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=1e-3)
