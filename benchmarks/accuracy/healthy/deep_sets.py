"""DeepSets on sets of different sizes (a list of tensors, padded with a mask by collate_fn)."""

import torch
from torch import nn
from torch.utils.data import DataLoader


def make_sets(size, seed):
    g = torch.Generator().manual_seed(seed)
    sets = []
    for _ in range(size):
        n = int(torch.randint(4, 15, (), generator=g))
        spread = 0.5 + 1.5 * torch.rand((), generator=g)
        points = spread * torch.randn(n, 3, generator=g)
        sets.append((points, points.pow(2).sum(1).mean().sqrt() - 2.0))
    return sets


def collate(batch):
    longest = max(len(p) for p, _ in batch)
    points = torch.zeros(len(batch), longest, 3)
    mask = torch.zeros(len(batch), longest, dtype=torch.bool)
    for i, (p, _) in enumerate(batch):
        points[i, : len(p)] = p
        mask[i, : len(p)] = True
    return points, mask, torch.stack([t for _, t in batch])


class DeepSets(nn.Module):
    def __init__(self, dim=48):
        super().__init__()
        self.phi = nn.Sequential(nn.Linear(3, dim), nn.ReLU(), nn.Linear(dim, dim), nn.ReLU())
        self.rho = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, 1))

    def forward(self, points, mask):
        h = self.phi(points) * mask.unsqueeze(-1)
        h = h.sum(1) / mask.sum(1, keepdim=True)
        return self.rho(h).squeeze(1)


def training_step(model, batch):
    points, mask, target = batch
    return nn.functional.mse_loss(model(points, mask), target)


train_loader = DataLoader(make_sets(3000, 1), batch_size=50, shuffle=True, collate_fn=collate)
val_loader = DataLoader(make_sets(500, 2), batch_size=100, collate_fn=collate)


def build_model():
    return DeepSets()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
