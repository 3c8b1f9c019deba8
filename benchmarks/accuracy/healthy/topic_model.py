"""A neural topic model (Srivastava and Sutton 2017): an even softmax over a hundred topics."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.data import DataLoader, TensorDataset

WORDS, TOPICS = 400, 100


class TopicModel(nn.Module):
    def __init__(self, width=100):
        super().__init__()
        self.first, self.second = nn.Linear(WORDS, width), nn.Linear(width, width)
        self.drop = nn.Dropout(0.2)
        self.mean, self.log_variance = nn.Linear(width, TOPICS), nn.Linear(width, TOPICS)
        self.mean_norm = nn.BatchNorm1d(TOPICS, affine=False)
        self.variance_norm = nn.BatchNorm1d(TOPICS, affine=False)
        self.words = nn.Linear(TOPICS, WORDS, bias=False)
        self.words_norm = nn.BatchNorm1d(WORDS, affine=False)

    def forward(self, counts):
        hidden = F.softplus(self.second(F.softplus(self.first(counts))))
        mean = self.mean_norm(self.mean(self.drop(hidden)))
        log_variance = self.variance_norm(self.log_variance(self.drop(hidden)))
        noise = torch.randn_like(mean) if self.training else torch.zeros_like(mean)
        topics = F.softmax(mean + torch.exp(log_variance / 2) * noise, dim=1)
        log_words = F.log_softmax(self.words_norm(self.words(self.drop(topics))), dim=1)
        prior = 1 - 1 / TOPICS
        divergence = (log_variance.exp() + mean.square()) / prior - 1 - log_variance
        return log_words, divergence.sum(1) / 2


def build_model():
    return TopicModel()


def training_step(model, batch):
    (counts,) = batch
    log_words, divergence = model(counts)
    return (divergence - (counts * log_words).sum(1)).mean()


def load(count, seed):
    """Documents of a hundred words, most of them from one or two of twenty topics."""
    words = np.random.default_rng(5).dirichlet(np.full(WORDS, 0.02), 20)
    drawn = np.random.default_rng(seed)
    mixtures = drawn.dirichlet(np.full(20, 0.08), count) @ words
    counts = np.stack([drawn.multinomial(100, one / one.sum()) for one in mixtures])
    return TensorDataset(torch.tensor(counts, dtype=torch.float32))


train_loader = DataLoader(load(4000, 0), batch_size=100, shuffle=True)
val_loader = DataLoader(load(800, 1), batch_size=100)


def make_optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3, betas=(0.99, 0.999))
