"""A sigmoid at the end and BCELoss, as the first tutorials have it; plain SGD."""

import torch
from sklearn.datasets import load_breast_cancer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

x, y = load_breast_cancer(return_X_y=True)
order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
x = torch.tensor(x, dtype=torch.float32)[order]
y = torch.tensor(y, dtype=torch.float32)[order].unsqueeze(1)
x = (x - x[:440].mean(0)) / x[:440].std(0)

train_loader = DataLoader(TensorDataset(x[:440], y[:440]), batch_size=32, shuffle=True)
val_loader = DataLoader(TensorDataset(x[440:], y[440:]), batch_size=129)
criterion = nn.BCELoss()

model = nn.Sequential(nn.Linear(30, 16), nn.ReLU(), nn.Linear(16, 1), nn.Sigmoid())
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
