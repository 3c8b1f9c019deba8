"""nn.TransformerEncoder (pre-norm) that finds the most frequent token of a sequence."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

VOCAB, LENGTH, CLASSES = 32, 20, 4


def make_data(size, seed):
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, CLASSES, (size,), generator=g)
    x = torch.randint(0, VOCAB, (size, LENGTH), generator=g)
    marked = torch.rand(size, LENGTH, generator=g) < 0.3
    return TensorDataset(torch.where(marked, y.unsqueeze(1), x), y)


class Classifier(nn.Module):
    def __init__(self, dim=48):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, dim)
        self.position = nn.Parameter(0.02 * torch.randn(LENGTH, dim))
        layer = nn.TransformerEncoderLayer(
            dim, 4, 96, dropout=0.1, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, CLASSES)

    def forward(self, tokens):
        x = self.embed(tokens) + self.position
        return self.head(self.norm(self.encoder(x)).mean(1))


def build_model():
    return Classifier()


train_loader = DataLoader(make_data(6000, 1), batch_size=64, shuffle=True)
val_loader = DataLoader(make_data(1000, 2), batch_size=100)
criterion = nn.CrossEntropyLoss()


def build_optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
