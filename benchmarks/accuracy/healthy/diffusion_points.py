"""A small denoising diffusion model of two moons; the noise level is drawn in every step."""

import math

import torch
from sklearn.datasets import make_moons
from torch import nn
from torch.utils.data import DataLoader

STEPS = 100
points = torch.tensor(make_moons(6000, noise=0.06, random_state=0)[0], dtype=torch.float32)
points = (points - points.mean(0)) / points.std(0)
train_loader = DataLoader(points[:5000], batch_size=128, shuffle=True)
val_loader = DataLoader(points[5000:], batch_size=250)

betas = torch.linspace(1e-3, 0.1, STEPS)
alpha_bar = torch.cumprod(1 - betas, 0)


class Denoiser(nn.Module):
    def __init__(self, width=96):
        super().__init__()
        self.time = nn.Sequential(nn.Linear(32, width), nn.SiLU(), nn.Linear(width, width))
        self.inp = nn.Linear(2, width)
        self.mid = nn.Sequential(nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.mid2 = nn.Sequential(nn.Linear(width, width), nn.SiLU())
        self.out = nn.Linear(width, 2)

    def forward(self, x, t):
        f = torch.exp(-math.log(1000.0) * torch.arange(16) / 16)
        angle = t.unsqueeze(1) * f
        h = self.inp(x) + self.time(torch.cat([angle.sin(), angle.cos()], 1))
        h = self.mid(h)
        return self.out(h + self.mid2(h))


def build_model():
    return Denoiser()


def training_step(model, x):
    t = torch.randint(0, STEPS, (len(x),))
    noise = torch.randn_like(x)
    a = alpha_bar[t].unsqueeze(1)
    noisy = a.sqrt() * x + (1 - a).sqrt() * noise
    return ((model(noisy, t) - noise) ** 2).mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
