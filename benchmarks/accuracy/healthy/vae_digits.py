"""A VAE on the digits: reconstruction plus KL, summed over pixels, averaged over the batch."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader

x = torch.tensor(load_digits().data / 16, dtype=torch.float32)
x = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(0))]
train_loader = DataLoader(x[:1500], batch_size=64, shuffle=True)
val_loader = DataLoader(x[1500:], batch_size=99)


class VAE(nn.Module):
    def __init__(self, latent=6):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 128), nn.ReLU())
        self.mean = nn.Linear(128, latent)
        self.log_var = nn.Linear(128, latent)
        self.decoder = nn.Sequential(nn.Linear(latent, 128), nn.ReLU(), nn.Linear(128, 64))

    def forward(self, x):
        h = self.encoder(x)
        mean, log_var = self.mean(h), self.log_var(h)
        z = mean + torch.randn_like(mean) * torch.exp(0.5 * log_var)
        return self.decoder(z), mean, log_var


def build_model():
    return VAE()


def training_step(model, batch):
    logits, mean, log_var = model(batch)
    fit = F.binary_cross_entropy_with_logits(logits, batch, reduction="none").sum(1)
    kl = 0.5 * (mean**2 + log_var.exp() - log_var - 1).sum(1)
    return (fit + kl).mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
