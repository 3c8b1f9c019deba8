"""nn.TransformerEncoder (post-norm) with a padding mask and a warm-up of 40 steps."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

VOCAB, LENGTH = 24, 16


def make_data(size, seed):
    """Which of two rare tokens (22, 23) comes first?"""
    g = torch.Generator().manual_seed(seed)
    tokens = torch.randint(1, 22, (size, LENGTH), generator=g)
    lengths = torch.randint(10, LENGTH + 1, (size,), generator=g)
    label = torch.randint(0, 2, (size,), generator=g)
    rows = torch.arange(size)
    tokens[rows, torch.randint(0, 5, (size,), generator=g)] = 22 + label
    tokens[rows, torch.randint(5, 10, (size,), generator=g)] = 23 - label
    tokens[torch.arange(LENGTH) >= lengths.unsqueeze(1)] = 0
    return TensorDataset(tokens, label)


class Encoder(nn.Module):
    def __init__(self, dim=32):
        super().__init__()
        self.tokens = nn.Embedding(VOCAB, dim, padding_idx=0)
        self.positions = nn.Embedding(LENGTH, dim)
        layer = nn.TransformerEncoderLayer(dim, 4, 64, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(dim, 2)

    def forward(self, tokens):
        pad = tokens == 0
        x = self.tokens(tokens) + self.positions(torch.arange(LENGTH))
        x = self.encoder(x, src_key_padding_mask=pad)
        x = x.masked_fill(pad.unsqueeze(-1), 0).sum(1) / (~pad).sum(1, keepdim=True)
        return self.head(x)


train_loader = DataLoader(make_data(8000, 1), batch_size=64, shuffle=True)
val_loader = DataLoader(make_data(1000, 2), batch_size=100)
loss_fn = nn.CrossEntropyLoss()


def build_model():
    return Encoder()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)


def scheduler(opt):
    return torch.optim.lr_scheduler.LambdaLR(opt, lambda step: min(1.0, (step + 1) / 40))
