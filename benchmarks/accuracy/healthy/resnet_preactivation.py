"""A pre-activation residual net, where norm and ReLU come before each convolution."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class PreAct(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(c)
        self.conv1 = nn.Conv2d(c, c, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(c)
        self.conv2 = nn.Conv2d(c, c, 3, padding=1, bias=False)

    def forward(self, x):
        y = self.conv1(F.relu(self.bn1(x)))
        return x + self.conv2(F.relu(self.bn2(y)))


class Net(nn.Module):
    def __init__(self, width=16, depth=4):
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, padding=1, bias=False)
        self.blocks = nn.Sequential(*[PreAct(width) for _ in range(depth)])
        self.norm = nn.BatchNorm2d(width)
        self.fc = nn.Linear(width * 4, 10)

    def forward(self, x):
        x = F.relu(self.norm(self.blocks(self.stem(x))))
        return self.fc(F.adaptive_avg_pool2d(x, 2).flatten(1))


def data():
    x, y = load_digits(return_X_y=True)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(5))
    x = torch.tensor(x, dtype=torch.float32).view(-1, 1, 8, 8)[order]
    x = (x - 4.88) / 6.02
    y = torch.tensor(y)[order]
    return TensorDataset(x[:1408], y[:1408]), TensorDataset(x[1408:], y[1408:])


train_set, val_set = data()
train_loader = DataLoader(train_set, batch_size=64, shuffle=True, drop_last=True)
val_loader = DataLoader(val_set, batch_size=100)
loss_fn = nn.CrossEntropyLoss()


def make_model():
    return Net()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
