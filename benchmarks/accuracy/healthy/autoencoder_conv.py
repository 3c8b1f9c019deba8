"""A convolutional autoencoder; input and target are the same standardised digit."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

images = torch.tensor(load_digits().images, dtype=torch.float32).unsqueeze(1)
images = images[torch.randperm(len(images), generator=torch.Generator().manual_seed(0))]
images = (images - images.mean()) / images.std()

train_loader = DataLoader(TensorDataset(images[:1500], images[:1500]), batch_size=50, shuffle=True)
val_loader = DataLoader(TensorDataset(images[1500:], images[1500:]), batch_size=99)

loss_fn = nn.MSELoss()


class Autoencoder(nn.Module):
    def __init__(self, code=12):
        super().__init__()
        self.encode = nn.Sequential(
            nn.Conv2d(1, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(128, code),
        )
        self.decode = nn.Sequential(
            nn.Linear(code, 128),
            nn.ReLU(),
            nn.Unflatten(1, (32, 2, 2)),
            nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(16, 1, 4, stride=2, padding=1),
        )

    def forward(self, x):
        return self.decode(self.encode(x))


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
