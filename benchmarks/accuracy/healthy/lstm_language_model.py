"""A character model: one-layer LSTM over text made from ten words."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

WORDS = ["the", "cat", "dog", "sees", "a", "red", "house", "and", "runs", "far"]
CHARS = sorted(set(" ".join(WORDS)))
INDEX = {c: i for i, c in enumerate(CHARS)}


def text(words, seed):
    g = torch.Generator().manual_seed(seed)
    picks = torch.randint(0, len(WORDS), (words,), generator=g)
    return torch.tensor([INDEX[c] for c in " ".join(WORDS[i] for i in picks)])


def windows(words, seed, length=32):
    codes = text(words, seed)
    n = (len(codes) - 1) // length
    x = codes[: n * length].view(n, length)
    y = codes[1 : n * length + 1].view(n, length)
    return TensorDataset(x, y)


class CharLM(nn.Module):
    def __init__(self, hidden=64):
        super().__init__()
        self.embed = nn.Embedding(len(CHARS), 16)
        self.lstm = nn.LSTM(16, hidden, batch_first=True)
        self.decoder = nn.Linear(hidden, len(CHARS))

    def forward(self, x):
        h, _ = self.lstm(self.embed(x))
        return self.decoder(h)


train_loader = DataLoader(windows(20_000, 1), batch_size=32, shuffle=True)
val_loader = DataLoader(windows(3_000, 2), batch_size=32)


def build_model():
    return CharLM()


def loss_fn(logits, y):
    return F.cross_entropy(logits.transpose(1, 2), y)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)
