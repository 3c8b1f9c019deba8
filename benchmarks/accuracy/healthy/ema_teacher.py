"""A model that keeps an exponential moving average of its weights (a copy without gradient)."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, TensorDataset

x, y = load_digits(return_X_y=True)
order = torch.randperm(len(y), generator=torch.Generator().manual_seed(6))
x = torch.tensor((x - x.mean()) / x.std(), dtype=torch.float32)[order]
y = torch.tensor(y)[order]
train_loader = DataLoader(TensorDataset(x[:1400], y[:1400]), batch_size=50, shuffle=True)
val_loader = DataLoader(TensorDataset(x[1400:], y[1400:]), batch_size=99)


class WithEMA(nn.Module):
    """The student learns; the averaged copy answers in eval mode."""

    def __init__(self):
        super().__init__()
        self.student = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 10))
        self.average = AveragedModel(self.student, multi_avg_fn=get_ema_multi_avg_fn(0.9))
        self.average.requires_grad_(False)

    def forward(self, x):
        if self.training:
            self.average.update_parameters(self.student)
            return self.student(x)
        return self.average(x)


def build_model():
    return WithEMA()


criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.student.parameters(), lr=3e-3)
