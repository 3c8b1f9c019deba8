"""Contrastive learning in the manner of SimCLR: two noisy, shifted views of each digit."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader

images = torch.tensor(load_digits().images, dtype=torch.float32).unsqueeze(1)
images = images[torch.randperm(len(images), generator=torch.Generator().manual_seed(1))]
images = (images - images.mean()) / images.std()
train_loader = DataLoader(images[:1408], batch_size=64, shuffle=True, drop_last=True)
val_loader = DataLoader(images[1408:], batch_size=64, drop_last=True)


def augment(x):
    shift = int(torch.randint(-1, 2, ()))
    x = torch.roll(x, shift, dims=3)
    return x + 0.3 * torch.randn_like(x)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        )
        self.project = nn.Sequential(nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 32))

    def forward(self, x):
        return F.normalize(self.project(self.features(x)), dim=1)


def training_step(model, x, temperature=0.2):
    z = torch.cat([model(augment(x)), model(augment(x))])
    similarity = z @ z.T / temperature
    similarity = similarity.masked_fill(torch.eye(len(z), dtype=torch.bool), -1e9)
    n = len(x)
    partner = torch.cat([torch.arange(n, 2 * n), torch.arange(n)])
    return F.cross_entropy(similarity, partner)


def build_model():
    return Encoder()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
