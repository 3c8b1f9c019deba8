"""A tanh net with Xavier weights, RAdam."""

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

data = load_digits()
shuffled = np.random.RandomState(7).permutation(len(data.target))
inputs = (data.data[shuffled] - 4.884) / 6.017
inputs = torch.tensor(inputs, dtype=torch.float32)
targets = torch.tensor(data.target[shuffled])


def xavier(module):
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)


def create_model():
    net = nn.Sequential(
        nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 10)
    )
    return net.apply(xavier)


def train_dataloader():
    return DataLoader(TensorDataset(inputs[:1437], targets[:1437]), batch_size=32, shuffle=True)


def val_dataloader():
    return DataLoader(TensorDataset(inputs[1437:], targets[1437:]), batch_size=90)


criterion = nn.CrossEntropyLoss()


def make_optimizer(params):
    return torch.optim.RAdam(params, lr=2e-2)
