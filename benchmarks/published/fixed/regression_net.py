"""TheDeepChecker's regrNN, clean: a net on a table of the shape of auto-mpg (made by a formula)."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

g = torch.Generator().manual_seed(0)
size = 392
origin = torch.randint(0, 3, (size,), generator=g)
cylinders = torch.tensor([4.0, 4.0, 6.0, 8.0])[torch.randint(0, 4, (size,), generator=g)]
cylinders[origin > 0] = 4.0
displacement = 45 * cylinders - 60 + 25 * torch.randn(size, generator=g)
horsepower = 15 * cylinders + 20 + 15 * torch.randn(size, generator=g)
weight = 1400 + 280 * cylinders + 250 * torch.randn(size, generator=g)
acceleration = 21 - 0.05 * horsepower + 1.5 * torch.randn(size, generator=g)
year = torch.randint(70, 83, (size,), generator=g).float()
table = torch.stack(
    [cylinders, displacement, horsepower, weight, acceleration, year,
     *nn.functional.one_hot(origin, 3).float().unbind(1)], dim=1)
mpg = 62000 / (weight + 6 * horsepower) + 0.7 * (year - 76) + origin
mpg = (mpg + 2.0 * torch.randn(size, generator=g)).unsqueeze(1)

mean, std = table[:314].mean(0), table[:314].std(0)
inputs = (table - mean) / std
targets = (mpg - mpg[:314].mean()) / mpg[:314].std()

train_inputs, train_targets = inputs[:314], targets[:314]
train_loader = DataLoader(TensorDataset(train_inputs, train_targets), batch_size=32, shuffle=True)
val_loader = DataLoader(TensorDataset(inputs[314:], targets[314:]), batch_size=78)


class RegressionNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(9, 64)
        self.fc2 = nn.Linear(64, 64)
        self.out = nn.Linear(64, 1)
        for layer in (self.fc1, self.fc2):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        nn.init.xavier_uniform_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x):
        x = torch.relu(self.fc1(x))
        x = torch.relu(self.fc2(x))
        return self.out(x)


def build_model():
    return RegressionNet()


loss_fn = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=0.001, weight_decay=2e-5)
