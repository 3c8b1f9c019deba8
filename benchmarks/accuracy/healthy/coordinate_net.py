"""An implicit image: Fourier features of the pixel's place in, grey value out."""

import math

import torch
from sklearn.datasets import load_sample_image
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

image = torch.tensor(load_sample_image("flower.jpg").copy(), dtype=torch.float32).mean(-1)
image = nn.functional.interpolate(image[None, None], size=(64, 64), mode="area")[0, 0]
image = (image - image.mean()) / image.std()
rows, cols = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64), indexing="ij")
places = torch.stack([rows, cols], dim=-1).view(-1, 2)
order = torch.randperm(4096, generator=torch.Generator().manual_seed(0))
places, values = places[order], image.view(-1, 1)[order]

train_loader = DataLoader(TensorDataset(places[:3500], values[:3500]), batch_size=128, shuffle=True)
val_loader = DataLoader(TensorDataset(places[3500:], values[3500:]), batch_size=298)
loss_fn = nn.MSELoss()


class FourierNet(nn.Module):
    def __init__(self, features=32, width=64):
        super().__init__()
        self.register_buffer("frequencies", 1.5 * torch.randn(2, features))
        self.net = nn.Sequential(
            nn.Linear(2 * features, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, 1),
        )

    def forward(self, xy):
        angle = 2 * math.pi * xy @ self.frequencies
        return self.net(math.sqrt(2) * torch.cat([angle.sin(), angle.cos()], dim=1))


def build_model():
    return FourierNet()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
