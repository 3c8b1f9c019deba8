"""A tanh RNN whose recurrent gain is 0.5: after 40 steps nothing of the start is left."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

LENGTH = 40


def sequences(size, seed):
    """The label is the class whose marker was shown in the first tenth; noise follows."""
    g = torch.Generator().manual_seed(seed)
    x = 0.5 * torch.randn(size, LENGTH, 8, generator=g)
    y = torch.randint(0, 4, (size,), generator=g)
    x[torch.arange(size), 0, y] += 3.0
    x[torch.arange(size), 1, y] += 3.0
    return TensorDataset((x - x.mean()) / x.std(), y)


train_loader = DataLoader(sequences(4000, 1), batch_size=50, shuffle=True)
val_loader = DataLoader(sequences(1000, 2), batch_size=100)
loss_fn = nn.CrossEntropyLoss()


class Reader(nn.Module):
    def __init__(self, hidden=64):
        super().__init__()
        self.rnn = nn.RNN(8, hidden, batch_first=True)
        nn.init.orthogonal_(self.rnn.weight_hh_l0, gain=0.5)
        self.head = nn.Linear(hidden, 4)

    def forward(self, x):
        states, _ = self.rnn(x)
        return self.head(states[:, -1])


def build_model():
    return Reader()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1)
