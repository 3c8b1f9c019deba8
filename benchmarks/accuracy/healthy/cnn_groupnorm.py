"""A CNN with group norm on the digits; SGD with momentum and a StepLR."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

x, y = load_digits(return_X_y=True)
g = torch.Generator().manual_seed(0)
order = torch.randperm(len(y), generator=g)
x = torch.tensor(x, dtype=torch.float32).view(-1, 1, 8, 8)[order]
y = torch.tensor(y)[order]
x = (x - x[:1400].mean()) / x[:1400].std()

train_loader = DataLoader(TensorDataset(x[:1400], y[:1400]), batch_size=40, shuffle=True)
val_loader = DataLoader(TensorDataset(x[1400:], y[1400:]), batch_size=100)


def conv(c_in, c_out, stride=1):
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False), nn.GroupNorm(4, c_out), nn.SiLU()
    )


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(conv(1, 16), conv(16, 32, 2), conv(32, 32, 2))
        self.head = nn.Linear(32 * 4, 10)

    def forward(self, x):
        return self.head(self.body(x).flatten(1))


loss_function = nn.CrossEntropyLoss()


def build_model():
    return Net()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)


def scheduler(opt):
    return torch.optim.lr_scheduler.StepLR(opt, step_size=35 * 10, gamma=0.1)
