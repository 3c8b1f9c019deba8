"""Five faults at once; each hides others, and mending a single one shows nothing."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

WIDTH, CLASSES = 64, 10


def make_data(seed=0, count=4000):
    g = torch.Generator().manual_seed(0)
    centres = 1.5 * torch.randn(CLASSES, WIDTH, generator=g)
    g = torch.Generator().manual_seed(seed)
    y = torch.arange(count) * CLASSES // count
    x = centres[y] + torch.randn(count, WIDTH, generator=g)
    return TensorDataset(x / x.std(), y)


class DeepGate(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(
            *[nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Sigmoid()) for _ in range(12)])
        self.gate = nn.Linear(WIDTH, WIDTH)
        nn.init.constant_(self.gate.bias, -20.0)
        self.head = nn.Sequential(nn.Linear(WIDTH, CLASSES), nn.Softmax(dim=1))

    def forward(self, x):
        x = torch.relu(self.gate(self.blocks(x)))
        return self.head(x)


def build_model():
    return DeepGate()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)


loss_fn = nn.CrossEntropyLoss()
train_loader = DataLoader(make_data(), batch_size=64, shuffle=False)
