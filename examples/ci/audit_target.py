"""What `audit run` looks at; `audit init` took it from train.py.

It is yours: change what was not understood.
"""

import torch
from torch import nn
from torch.utils.data import DataLoader
from train import Readings, readings

train_loader = DataLoader(readings(2000, 1), batch_size=64, shuffle=True)
val_loader = DataLoader(readings(400, 2), batch_size=200)
criterion = nn.CrossEntropyLoss()


def build_model():
    return Readings()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=0.002)
