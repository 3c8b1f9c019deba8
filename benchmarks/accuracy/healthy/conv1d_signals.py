"""Dilated causal convolutions (TCN) with weight norm on noisy chirps."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import weight_norm
from torch.utils.data import DataLoader, TensorDataset


def chirps(size, seed, length=64):
    """Does the frequency rise, fall or stay?"""
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 3, (size,), generator=g)
    t = torch.linspace(0, 1, length)
    slope = (y.float() - 1).unsqueeze(1) * 8
    start = 8 - slope / 2 + torch.randn(size, 1, generator=g)
    phase = 6.28 * torch.rand(size, 1, generator=g)
    x = torch.sin(6.28 * (start * t + slope * t**2 / 2) + phase)
    x = x + 0.3 * torch.randn(size, length, generator=g)
    return TensorDataset((x / x.std()).unsqueeze(1), y)


class TCN(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.convs = nn.ModuleList()
        for i, dilation in enumerate((1, 2, 4, 8)):
            c_in = 1 if i == 0 else width
            self.convs.append(weight_norm(nn.Conv1d(c_in, width, 3, dilation=dilation)))
        self.head = nn.Linear(2 * width, 3)

    def forward(self, x):
        for conv in self.convs:
            x = F.relu(conv(F.pad(x, (2 * conv.dilation[0], 0))))
        half = x.shape[-1] // 2
        return self.head(torch.cat([x[..., :half].mean(-1), x[..., half:].mean(-1)], dim=1))


train_loader = DataLoader(chirps(4000, 1), batch_size=50, shuffle=True)
val_loader = DataLoader(chirps(600, 2), batch_size=100)
criterion = nn.CrossEntropyLoss()


def build_model():
    return TCN()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)
