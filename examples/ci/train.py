"""A small classifier of synthetic readings; `python train.py` trains it."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Readings(nn.Module):
    def __init__(self, sensors: int = 12, kinds: int = 4):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(sensors, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU())
        self.head = nn.Linear(32, kinds)

    def forward(self, x):
        return self.head(self.body(x))


def readings(count: int, seed: int) -> TensorDataset:
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(4, 12, generator=torch.Generator().manual_seed(0)) * 1.5
    kinds = torch.randint(0, 4, (count,), generator=generator)
    return TensorDataset(centres[kinds] + torch.randn(count, 12, generator=generator), kinds)


def main(epochs: int = 5) -> None:
    train_loader = DataLoader(readings(2000, 1), batch_size=64, shuffle=True)
    val_loader = DataLoader(readings(400, 2), batch_size=200)
    model = Readings()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for epoch in range(epochs):
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
        hits = sum((model(x).argmax(1) == y).sum().item() for x, y in val_loader)
        print(f"epoch {epoch + 1}: {hits / 4:.1f} % of the validation readings are right")


if __name__ == "__main__":
    main()
