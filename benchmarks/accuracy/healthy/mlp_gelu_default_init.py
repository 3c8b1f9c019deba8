"""A GELU MLP as PyTorch initialises it; objects at module level, NAdam, cosine schedule."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)

digits = load_digits()
order = torch.randperm(1797)
x = torch.tensor(digits.data, dtype=torch.float32)[order]
y = torch.tensor(digits.target)[order]
x = (x - x[:1400].mean()) / x[:1400].std()

train_loader = DataLoader(TensorDataset(x[:1400], y[:1400]), batch_size=56, shuffle=True)
test_loader = DataLoader(TensorDataset(x[1400:], y[1400:]), batch_size=397)

model = nn.Sequential(
    nn.Linear(64, 96),
    nn.GELU(),
    nn.Linear(96, 96),
    nn.GELU(),
    nn.Linear(96, 10),
)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.NAdam(model.parameters(), lr=2e-3)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=25 * 20)
