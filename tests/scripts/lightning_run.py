"""A LightningModule with its own optimizer; the loaders are given to fit."""

import lightning as L
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Classifier(L.LightningModule):
    def __init__(self, width=32, lr=1e-3):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(nn.Linear(10, width), nn.ReLU(), nn.Linear(width, 4))

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = nn.functional.cross_entropy(self(x), y)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        x, y = batch
        self.log("val_loss", nn.functional.cross_entropy(self(x), y))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.hparams.lr)


def data(count, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 10, generator=generator)
    return TensorDataset(x, (x[:, 0] > 0).long() * 2 + (x[:, 1] > 0).long())


def cli():
    L.seed_everything(7)
    batches = DataLoader(data(512, 0), batch_size=32, shuffle=True)
    held_out = DataLoader(data(128, 1), batch_size=128)
    module = Classifier(width=48, lr=3e-3)
    trainer = L.Trainer(max_epochs=5, accelerator="cpu")
    trainer.fit(module, train_dataloaders=batches, val_dataloaders=held_out)


if __name__ == "__main__":
    cli()
