"""A yes-no question on 30 standardised columns: one logit, binary cross-entropy."""

import torch
from sklearn.datasets import load_breast_cancer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

data = load_breast_cancer()
order = torch.randperm(569, generator=torch.Generator().manual_seed(0))
table = torch.tensor(data.data, dtype=torch.float32)[order]
labels = torch.tensor(data.target, dtype=torch.float32)[order].unsqueeze(1)
inputs = (table - table[:455].mean(0)) / table[:455].std(0)

train_loader = DataLoader(TensorDataset(inputs[:455], labels[:455]), batch_size=32, shuffle=True)
val_loader = DataLoader(TensorDataset(inputs[455:], labels[455:]), batch_size=57)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(30, 32)
        self.fc2 = nn.Linear(32, 1)

    def forward(self, x):
        return self.fc2(torch.relu(self.fc1(x)))


def build_model():
    return Net()


loss_fn = nn.BCEWithLogitsLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
