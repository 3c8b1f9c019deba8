"""Five classes of very different size; CrossEntropyLoss with class weights."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SHARES = torch.tensor([0.45, 0.25, 0.15, 0.1, 0.05])
centres = 1.2 * torch.randn(5, 10, generator=torch.Generator().manual_seed(9))


def clusters(size, seed):
    g = torch.Generator().manual_seed(seed)
    y = torch.multinomial(SHARES, size, replacement=True, generator=g)
    x = centres[y] + torch.randn(size, 10, generator=g)
    return TensorDataset(x / 1.6, y)


train_set, val_set = clusters(8000, 1), clusters(2000, 2)
counts = torch.bincount(train_set.tensors[1])
weights = len(train_set) / (5 * counts)

train_loader = DataLoader(train_set, batch_size=100, shuffle=True)
val_loader = DataLoader(val_set, batch_size=500)
criterion = nn.CrossEntropyLoss(weight=weights)


def build_model():
    return nn.Sequential(nn.Linear(10, 48), nn.LeakyReLU(0.1), nn.Linear(48, 5))


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
