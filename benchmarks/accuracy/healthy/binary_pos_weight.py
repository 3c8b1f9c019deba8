"""A rare positive class (one in eight), weighted in the loss by pos_weight."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def patients(size, seed):
    g = torch.Generator().manual_seed(seed)
    y = (torch.rand(size, generator=g) < 1 / 8).float()
    x = torch.randn(size, 12, generator=g)
    x[:, :4] += 1.2 * y.unsqueeze(1)
    x[:, 4] *= 1 + y
    return x, y


x_train, y_train = patients(8000, 1)
x_val, y_val = patients(2000, 2)
mean, std = x_train.mean(0), x_train.std(0)
x_train, x_val = (x_train - mean) / std, (x_val - mean) / std

train_loader = DataLoader(TensorDataset(x_train, y_train), batch_size=128, shuffle=True)
val_loader = DataLoader(TensorDataset(x_val, y_val), batch_size=500)

pos_weight = (1 - y_train).sum() / y_train.sum()
loss_fn = nn.BCEWithLogitsLoss(pos_weight=pos_weight)


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 1))

    def forward(self, x):
        return self.net(x).squeeze(-1)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)
