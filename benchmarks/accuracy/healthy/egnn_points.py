"""An E(n)-equivariant net (Satorras et al. 2021): heads of the coordinates start near zero."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Layer(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.edges = nn.Sequential(
            nn.Linear(2 * width + 1, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.nodes = nn.Sequential(
            nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, width))
        head = nn.Linear(width, 1, bias=False)
        nn.init.xavier_uniform_(head.weight, gain=0.001)
        self.moves = nn.Sequential(nn.Linear(width, width), nn.SiLU(), head)

    def forward(self, h, x):
        apart = x[:, :, None] - x[:, None]
        count = h.shape[1]
        pairs = torch.cat([
            h[:, :, None].expand(-1, -1, count, -1), h[:, None].expand(-1, count, -1, -1),
            apart.square().sum(-1, keepdim=True)], dim=-1)
        messages = self.edges(pairs)
        x = x + (apart * self.moves(messages)).mean(2)
        return h + self.nodes(torch.cat([h, messages.sum(2)], dim=-1)), x


class Net(nn.Module):
    def __init__(self, width=32, depth=3):
        super().__init__()
        self.embed = nn.Linear(1, width)
        self.layers = nn.ModuleList(Layer(width) for _ in range(depth))

    def forward(self, inputs):
        charges, x = inputs[..., :1], inputs[..., 1:]
        h = self.embed(charges)
        for layer in self.layers:
            h, x = layer(h, x)
        return x


def build_model():
    return Net()


def load(count, seed):
    """Points that are pulled and pushed by the others' charges."""
    drawn = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 5, 3, generator=drawn)
    charges = torch.randint(0, 2, (count, 5, 1), generator=drawn) * 2.0 - 1
    apart = x[:, :, None] - x[:, None]
    weight = (charges[:, :, None] * charges[:, None]) * torch.exp(-apart.square().sum(-1, True) / 2)
    return TensorDataset(torch.cat([charges, x], dim=-1), x + (weight * apart).sum(2))


train_loader = DataLoader(load(2000, 0), batch_size=50, shuffle=True)
val_loader = DataLoader(load(500, 1), batch_size=100)
loss_fn = nn.MSELoss()


def make_optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
