"""A tiny Vision Transformer on the digits; dict batches with pixel_values."""

import torch
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, Dataset
from transformers import ViTConfig, ViTForImageClassification


class Digits(Dataset):
    def __init__(self, part):
        data = load_digits()
        order = torch.randperm(1797, generator=torch.Generator().manual_seed(0))[part]
        x = torch.tensor(data.images, dtype=torch.float32).unsqueeze(1)
        self.x = ((x - 4.88) / 6.02)[order]
        self.y = torch.tensor(data.target)[order]

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return {"pixel_values": self.x[i], "labels": self.y[i]}


def build_model():
    config = ViTConfig(
        image_size=8, patch_size=2, num_channels=1, hidden_size=48, num_hidden_layers=2,
        num_attention_heads=4, intermediate_size=96, num_labels=10, initializer_range=0.1,
    )
    return ViTForImageClassification(config)


train_loader = DataLoader(Digits(slice(0, 1400)), batch_size=40, shuffle=True)
val_loader = DataLoader(Digits(slice(1400, None)), batch_size=99)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
