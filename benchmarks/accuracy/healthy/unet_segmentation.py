"""A small U-Net with group norm that separates discs from a noisy background."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def discs(size, seed, side=16):
    g = torch.Generator().manual_seed(seed)
    centre = 3 + (side - 6) * torch.rand(size, 2, 1, 1, generator=g)
    radius = 2 + 3 * torch.rand(size, 1, 1, generator=g)
    rows, cols = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    inside = (rows - centre[:, 0]) ** 2 + (cols - centre[:, 1]) ** 2 < radius**2
    image = 2 * inside.float() + torch.randn(size, side, side, generator=g)
    image = (image - image.mean()) / image.std()
    return TensorDataset(image.unsqueeze(1), inside.float().unsqueeze(1))


def double_conv(c_in, c_out):
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, 3, padding=1, bias=False), nn.GroupNorm(4, c_out), nn.ReLU(),
        nn.Conv2d(c_out, c_out, 3, padding=1, bias=False), nn.GroupNorm(4, c_out), nn.ReLU(),
    )


class UNet(nn.Module):
    def __init__(self, c=8):
        super().__init__()
        self.down1 = double_conv(1, c)
        self.down2 = double_conv(c, 2 * c)
        self.bottom = double_conv(2 * c, 4 * c)
        self.pool = nn.MaxPool2d(2)
        self.up2 = nn.ConvTranspose2d(4 * c, 2 * c, 2, stride=2)
        self.conv2 = double_conv(4 * c, 2 * c)
        self.up1 = nn.ConvTranspose2d(2 * c, c, 2, stride=2)
        self.conv1 = double_conv(2 * c, c)
        self.out = nn.Conv2d(c, 1, 1)

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(self.pool(a))
        x = self.bottom(self.pool(b))
        x = self.conv2(torch.cat([self.up2(x), b], 1))
        x = self.conv1(torch.cat([self.up1(x), a], 1))
        return self.out(x)


train_loader = DataLoader(discs(2000, 1), batch_size=32, shuffle=True)
val_loader = DataLoader(discs(400, 2), batch_size=50)
loss_fn = nn.BCEWithLogitsLoss()


def build_model():
    return UNet()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)
