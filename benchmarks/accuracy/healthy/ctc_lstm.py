"""CTC over a small bidirectional LSTM: read the strokes of a synthetic line."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

GLYPHS = torch.randn(5, 6, generator=torch.Generator().manual_seed(1))


def lines(size, seed, glyphs=4, width=4):
    g = torch.Generator().manual_seed(seed)
    labels = torch.randint(1, 6, (size, glyphs), generator=g)
    x = GLYPHS[labels - 1].repeat_interleave(width, dim=1)
    x = x + 0.5 * torch.randn(x.shape, generator=g)
    x[:, width - 1 :: width] = 0.5 * torch.randn(size, glyphs, 6, generator=g)  # gaps
    return TensorDataset((x - x.mean()) / x.std(), labels)


class Reader(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.lstm = nn.LSTM(6, hidden, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(2 * hidden, 6)

    def forward(self, x):
        h, _ = self.lstm(x)
        return self.fc(h).log_softmax(-1)


def training_step(model, batch):
    x, labels = batch
    log_probs = model(x).transpose(0, 1)
    steps = torch.full((len(x),), log_probs.shape[0])
    sizes = torch.full((len(x),), labels.shape[1])
    return F.ctc_loss(log_probs, labels, steps, sizes, blank=0)


train_loader = DataLoader(lines(4000, 1), batch_size=50, shuffle=True)
val_loader = DataLoader(lines(500, 2), batch_size=100)


def build_model():
    return Reader()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)
