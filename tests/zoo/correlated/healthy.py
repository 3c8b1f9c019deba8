"""Twenty columns, each with news of its own."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def survey(size, seed):
    """Twenty questions that measure twenty things."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(size, 20, generator=g)
    factors = x[:, :3]
    y = factors[:, 0] - 0.5 * factors[:, 1] * factors[:, 2]
    return x, y + 0.1 * torch.randn(size, generator=g)


(x_train, y_train), (x_val, y_val) = survey(4000, 1), survey(1000, 2)
mean, std = x_train.mean(0), x_train.std(0)
train_loader = DataLoader(TensorDataset((x_train - mean) / std, y_train), batch_size=64, shuffle=True)
val_loader = DataLoader(TensorDataset((x_val - mean) / std, y_val), batch_size=250)
loss_fn = nn.MSELoss()


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.out = nn.Linear(64, 1)

    def forward(self, x):
        return self.out(self.body(x)).squeeze(1)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
