"""The same transformer with a warm-up of 60 steps."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

VOCAB, LENGTH = 24, 16


def make_data(size, seed):
    """Which of two rare tokens (22, 23) comes first?"""
    g = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, 22, (size, LENGTH), generator=g)
    label = torch.randint(0, 2, (size,), generator=g)
    rows = torch.arange(size)
    tokens[rows, torch.randint(0, 8, (size,), generator=g)] = 22 + label
    tokens[rows, torch.randint(8, 16, (size,), generator=g)] = 23 - label
    return TensorDataset(tokens, label)


class Encoder(nn.Module):
    """Post-norm, where the first updates are the dangerous ones (Xiong et al. 2020)."""

    def __init__(self, dim=32, depth=3):
        super().__init__()
        self.tokens = nn.Embedding(VOCAB, dim)
        self.positions = nn.Embedding(LENGTH, dim)
        layer = nn.TransformerEncoderLayer(dim, 4, 64, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, depth)
        self.head = nn.Linear(dim, 2)

    def forward(self, tokens):
        x = self.tokens(tokens) + self.positions(torch.arange(LENGTH))
        return self.head(self.encoder(x).mean(1))


train_loader = DataLoader(make_data(8000, 1), batch_size=64, shuffle=True)
val_loader = DataLoader(make_data(1000, 2), batch_size=100)
loss_fn = nn.CrossEntropyLoss()


def build_model():
    return Encoder()


def optimizer(model):
    return torch.optim.RMSprop(model.parameters(), lr=4e-3)


def scheduler(opt):
    return torch.optim.lr_scheduler.LambdaLR(opt, lambda step: min(1.0, (step + 1) / 60))
