"""A table in the manner of California housing with outliers, Huber loss, Adagrad."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import TensorDataset


def table(size, seed):
    rng = np.random.default_rng(seed)
    income = rng.gamma(4.0, 1.0, size)
    age = rng.uniform(1, 52, size)
    rooms = rng.normal(5.4, 1.2, size)
    lat, lon = rng.uniform(-1, 1, (2, size))
    price = 0.45 * income + 0.01 * age + 0.3 * np.exp(-4 * (lat**2 + lon**2)) + 0.1 * rooms
    price += rng.normal(0, 0.15, size) + (rng.random(size) < 0.03) * rng.normal(0, 3, size)
    return np.stack([income, age, rooms, lat, lon], 1), price


x_train, y_train = table(6000, 0)
x_val, y_val = table(1500, 1)
mean, std = x_train.mean(0), x_train.std(0)
y_mean, y_std = y_train.mean(), y_train.std()


def to_set(x, y):
    x = torch.tensor((x - mean) / std, dtype=torch.float32)
    y = torch.tensor((y - y_mean) / y_std, dtype=torch.float32).unsqueeze(1)
    return TensorDataset(x, y)


train_set, val_set = to_set(x_train, y_train), to_set(x_val, y_val)
batch_size = 64


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(5, 48)
        self.fc2 = nn.Linear(48, 48)
        self.fc3 = nn.Linear(48, 1)

    def forward(self, x):
        x = torch.relu(self.fc1(x))
        x = torch.relu(self.fc2(x))
        return self.fc3(x)


criterion = nn.HuberLoss(delta=1.0)


def optimizer(model):
    return torch.optim.Adagrad(model.parameters(), lr=0.03)
