import torch
from torch.utils.data import DataLoader, TensorDataset, random_split


def make_loaders(batch_size):
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(800, 8, generator=generator)
    y = x[:, 0] - 0.5 * x[:, 1] * x[:, 2] + 0.1 * torch.randn(800, generator=generator)
    train, val = random_split(TensorDataset(x, y), [640, 160], generator=generator)
    return DataLoader(train, batch_size=batch_size, shuffle=True), DataLoader(val, batch_size=160)
