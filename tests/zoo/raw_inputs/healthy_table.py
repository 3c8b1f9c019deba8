"""A table of houses, standardised."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def houses(size, seed):
    """Income in dollars, age in years, rooms, a ratio, and coordinates; the price in 100,000."""
    rng = np.random.default_rng(seed)
    income = rng.lognormal(10.6, 0.4, size)
    age = rng.uniform(1, 60, size)
    rooms = rng.normal(5, 1, size)
    occupancy = rng.beta(2, 30, size)
    north, east = rng.uniform(-1, 1, (2, size))
    price = income / 40_000 + 0.2 * rooms - 0.01 * age - 4 * occupancy + np.sin(3 * north) * east
    price += rng.normal(0, 0.1, size)
    x = np.stack([income, age, rooms, occupancy, north, east], axis=1)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(price, dtype=torch.float32)


x_train, y_train = houses(4000, seed=1)
x_val, y_val = houses(1000, seed=2)
mean, std = x_train.mean(0), x_train.std(0)
x_train, x_val = (x_train - mean) / std, (x_val - mean) / std

train_loader = DataLoader(TensorDataset(x_train, y_train), batch_size=64, shuffle=True)
val_loader = DataLoader(TensorDataset(x_val, y_val), batch_size=250)
criterion = nn.MSELoss()


class Regressor(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)
        )

    def forward(self, x):
        return self.net(x).squeeze(1)


def configure_optimizers(params):
    return torch.optim.Adam(params, lr=1e-2)
