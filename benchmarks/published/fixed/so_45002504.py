"""IPS-13, fixed: logistic regression on nine standardised columns, Adam at 0.01."""

import torch
from sklearn.datasets import load_breast_cancer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

data = load_breast_cancer()
order = torch.randperm(569, generator=torch.Generator().manual_seed(0))
table = torch.tensor(data.data[:, :9], dtype=torch.float32)[order]
labels = torch.tensor(data.target)[order]
inputs = (table - table[:455].mean(0)) / table[:455].std(0)

train_loader = DataLoader(TensorDataset(inputs[:455], labels[:455]), batch_size=7, shuffle=True)
val_loader = DataLoader(TensorDataset(inputs[455:], labels[455:]), batch_size=57)


def build_model():
    model = nn.Linear(9, 2)
    nn.init.normal_(model.weight, std=0.3)
    nn.init.zeros_(model.bias)
    return model


loss_fn = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=0.01)
