"""Sequence to sequence with attention and a padding mask: reverse a word of varying length."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

PAD, BOS, LETTERS, LONGEST = 0, 1, 12, 6


class Reversal(Dataset):
    def __init__(self, size, seed):
        g = torch.Generator().manual_seed(seed)
        n = torch.randint(3, LONGEST + 1, (size, 1), generator=g)
        t = torch.arange(LONGEST)
        word = torch.randint(2, 2 + LETTERS, (size, LONGEST), generator=g)
        self.source = torch.where(t < n, word, PAD)
        turned = word.gather(1, (n - 1 - t).clamp(min=0))
        self.target = torch.where(t < n, turned, PAD)

    def __len__(self):
        return len(self.source)

    def __getitem__(self, i):
        return {"source": self.source[i], "target": self.target[i]}


class Seq2Seq(nn.Module):
    def __init__(self, dim=48):
        super().__init__()
        self.embed = nn.Embedding(2 + LETTERS, dim, padding_idx=PAD)
        self.encoder = nn.GRU(dim, dim, batch_first=True, bidirectional=True)
        self.bridge = nn.Linear(2 * dim, dim)
        self.decoder = nn.GRU(dim, dim, batch_first=True)
        self.query = nn.Linear(dim, dim, bias=False)
        self.key = nn.Linear(2 * dim, dim, bias=False)
        self.out = nn.Linear(3 * dim, 2 + LETTERS)

    def forward(self, source, shifted):
        memory, h = self.encoder(self.embed(source))
        start = torch.tanh(self.bridge(torch.cat([h[0], h[1]], dim=1))).unsqueeze(0)
        states, _ = self.decoder(self.embed(shifted), start)
        scores = self.query(states) @ self.key(memory).transpose(1, 2) / memory.shape[-1] ** 0.5
        scores = scores.masked_fill((source == PAD).unsqueeze(1), float("-inf"))
        context = scores.softmax(dim=-1) @ memory
        return self.out(torch.cat([states, context], dim=-1))


def training_step(model, batch):
    target = batch["target"]
    bos = torch.full_like(target[:, :1], BOS)
    logits = model(batch["source"], torch.cat([bos, target[:, :-1]], dim=1))
    return F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=PAD)


train_loader = DataLoader(Reversal(8000, 1), batch_size=64, shuffle=True)
val_loader = DataLoader(Reversal(1000, 2), batch_size=100)


def build_model():
    return Seq2Seq()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
