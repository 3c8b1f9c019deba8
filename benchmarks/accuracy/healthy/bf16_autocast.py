"""A training step under bfloat16 autocast; the loss is taken in float32."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

x, y = load_digits(return_X_y=True)
order = torch.randperm(len(y), generator=torch.Generator().manual_seed(8))
x = torch.tensor((x - x.mean()) / x.std(), dtype=torch.float32)[order]
y = torch.tensor(y)[order]
train_loader = DataLoader(TensorDataset(x[:1400], y[:1400]), batch_size=50, shuffle=True)
val_loader = DataLoader(TensorDataset(x[1400:], y[1400:]), batch_size=99)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(64, 96)
        self.norm1 = nn.LayerNorm(96)
        self.fc2 = nn.Linear(96, 96)
        self.norm2 = nn.LayerNorm(96)
        self.fc3 = nn.Linear(96, 10)

    def forward(self, x):
        x = F.gelu(self.norm1(self.fc1(x)))
        x = F.gelu(self.norm2(self.fc2(x)))
        return self.fc3(x)


def training_step(model, batch):
    x, y = batch
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(x)
    return F.cross_entropy(logits.float(), y)


def build_model():
    return Net()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
