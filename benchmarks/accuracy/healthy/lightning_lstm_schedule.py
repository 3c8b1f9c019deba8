"""A LightningModule with its own dataloaders and a one-cycle schedule stepped every batch."""

import lightning.pytorch as pl
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def parity_like(size, seed):
    """Sum of a sequence of -1, 0, 1: negative, zero or positive?"""
    g = torch.Generator().manual_seed(seed)
    x = torch.randint(-1, 2, (size, 15), generator=g)
    y = (x.sum(1).clamp(-2, 2) / 2).round().long() + 1
    return TensorDataset(x.float().unsqueeze(-1) / 0.816, y)


class SumReader(pl.LightningModule):
    def __init__(self, hidden=32):
        super().__init__()
        self.lstm = nn.LSTM(1, hidden, num_layers=2, batch_first=True, dropout=0.1)
        self.head = nn.Linear(hidden, 3)

    def forward(self, x):
        h, _ = self.lstm(x)
        return self.head(h[:, -1])

    def training_step(self, batch, batch_idx):
        x, y = batch
        return {"loss": F.cross_entropy(self(x), y)}

    def validation_step(self, batch, batch_idx):
        x, y = batch
        return F.cross_entropy(self(x), y)

    def train_dataloader(self):
        return DataLoader(parity_like(6400, 1), batch_size=64, shuffle=True)

    def val_dataloader(self):
        return DataLoader(parity_like(640, 2), batch_size=64)

    def configure_optimizers(self):
        opt = torch.optim.Adam(self.parameters(), lr=5e-3)
        cycle = torch.optim.lr_scheduler.OneCycleLR(
            opt, max_lr=1e-2, total_steps=500, div_factor=4
        )
        return {"optimizer": opt, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}
