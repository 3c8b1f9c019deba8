"""An EmbeddingBag over a vocabulary of which most words never occur in the data."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

VOCAB, USED, LENGTH = 2000, 150, 12
polarity = torch.randn(VOCAB, 3, generator=torch.Generator().manual_seed(11))


def reviews(size, seed):
    g = torch.Generator().manual_seed(seed)
    words = torch.randint(1, USED, (size, LENGTH), generator=g)
    lengths = torch.randint(6, LENGTH + 1, (size, 1), generator=g)
    words = torch.where(torch.arange(LENGTH) < lengths, words, 0)
    mask = (words > 0).unsqueeze(-1)
    return TensorDataset(words, (polarity[words] * mask).sum(1).argmax(1))


class BagOfWords(nn.Module):
    def __init__(self, dim=32):
        super().__init__()
        self.bag = nn.EmbeddingBag(VOCAB, dim, mode="mean", padding_idx=0)
        self.fc = nn.Sequential(nn.Linear(dim, 32), nn.ReLU(), nn.Linear(32, 3))

    def forward(self, words):
        return self.fc(self.bag(words))


train_loader = DataLoader(reviews(8000, 1), batch_size=64, shuffle=True)
val_loader = DataLoader(reviews(1000, 2), batch_size=200)
loss_fn = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-2)
