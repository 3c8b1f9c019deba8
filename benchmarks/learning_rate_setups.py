"""Nine pairs of model and optimizer, small enough to be trained hundreds of times."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it
from torch.utils.data import DataLoader, TensorDataset

from auditor.target import Target, WithLossFunction

JUDGED = 1024


@dataclass(frozen=True)
class Setup:
    """A model with its data, loss and optimizer.

    Attributes:
        name: As on the command line.
        make_model: From the global generator.
        data: (x, y).
        loss: Of (output, target).
        make_optimizer: Of (model, rate).
        batch_size: Samples in a step.
    """

    name: str
    make_model: Callable[[], nn.Module]
    data: Callable[[], tuple[Tensor, Tensor]]
    loss: Callable[[Tensor, Tensor], Tensor]
    make_optimizer: Callable[[nn.Module, float], torch.optim.Optimizer]
    batch_size: int = 64

    def judged(self) -> tuple[Tensor, Tensor]:
        """Return the samples whose loss is compared: training ones, as it is about descent."""
        x, y = self.data()
        return x[:JUDGED], y[:JUDGED]

    def loader(self, seed: int) -> DataLoader[Any]:
        """Return the batches in an order of their own for each seed."""
        return DataLoader(TensorDataset(*self.data()), batch_size=self.batch_size, shuffle=True,
                          drop_last=True, generator=torch.Generator().manual_seed(seed))

    def stream(self, seed: int, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield a batch for each step, epoch after epoch."""
        loader, taken = self.loader(1000 + seed), 0
        while True:
            for x, y in loader:
                if taken == steps:
                    return
                taken += 1
                yield x, y

    def target(self, user_lr: float) -> Target:
        """Return the set-up as the auditor sees it."""
        return Target(
            name=self.name, file="", make_model=self.make_model,
            make_train_loader=partial(self.loader, 0), compute=WithLossFunction(self.loss),
            kind="loss", make_optimizer=lambda model: self.make_optimizer(model, user_lr),
        )


def digits(*, flat: bool) -> tuple[Tensor, Tensor]:
    """Return the pictures of digits, standardised, and their labels."""
    loaded = load_digits()
    order = torch.randperm(len(loaded.target), generator=torch.Generator().manual_seed(0))
    x = torch.tensor(loaded.images / 16, dtype=torch.float32)[order]
    x = (x - x.mean()) / x.std()
    return (x.flatten(1) if flat else x.unsqueeze(1)), torch.tensor(loaded.target)[order]


def _regression() -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(7)
    x, w = torch.randn(2000, 20, generator=g), torch.randn(20, generator=g)
    y = torch.sin(x @ w / 2) + 0.3 * x[:, 0] * x[:, 1] + 0.1 * torch.randn(2000, generator=g)
    return x, y.unsqueeze(1)


def walks(length: int = 32, states: int = 24) -> tuple[Tensor, Tensor]:
    """Return sequences of a Markov chain and each one's next symbols."""
    g = torch.Generator().manual_seed(3)
    chances = torch.softmax(3 * torch.randn(states, states, generator=g), dim=1)
    walk = [torch.randint(0, states, (1500, 1), generator=g)]
    for _ in range(length):
        walk.append(torch.multinomial(chances[walk[-1].squeeze(1)], 1, generator=g))
    ids = torch.cat(walk, dim=1)
    return ids[:, :-1].contiguous(), ids[:, 1:].contiguous()


class _Gpt(nn.Module):
    def __init__(self, vocabulary: int = 24, width: int = 32, length: int = 32) -> None:
        super().__init__()
        self.token, self.place = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        layer = nn.TransformerEncoderLayer(width, 2, 4 * width, dropout=0.0, batch_first=True,
                                           norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, ids: Tensor) -> Tensor:
        length = ids.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(length)
        h = self.token(ids) + self.place(torch.arange(length))
        out: Tensor = self.head(self.layers(h, mask=mask, is_causal=True))
        return out


class _Lstm(nn.Module):
    def __init__(self, vocabulary: int = 24, width: int = 32) -> None:
        super().__init__()
        self.token = nn.Embedding(vocabulary, width)
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, ids: Tensor) -> Tensor:
        out: Tensor = self.head(self.lstm(self.token(ids))[0])
        return out


def _mlp(inputs: int, outputs: int, activation: type[nn.Module] = nn.ReLU) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, 128), activation(), nn.Linear(128, 128), activation(),
                         nn.Linear(128, outputs))


def _cnn(*, norm: bool) -> nn.Module:
    def block(channels: int, out: int) -> list[nn.Module]:
        normed = [nn.BatchNorm2d(out)] if norm else []
        return [nn.Conv2d(channels, out, 3, padding=1), *normed, nn.ReLU(), nn.MaxPool2d(2)]

    return nn.Sequential(*block(1, 16), *block(16, 32), nn.Flatten(), nn.Linear(128, 10))


def sgd(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    """Return plain SGD."""
    return torch.optim.SGD(model.parameters(), lr=lr)


def momentum(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    """Return SGD with a momentum of 0.9."""
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)


def adam(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    """Return Adam."""
    return torch.optim.Adam(model.parameters(), lr=lr)


def next_symbol(output: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy at every place of a sequence."""
    return F.cross_entropy(output.flatten(0, 1), target.flatten())


_FLAT, _IMAGES = partial(digits, flat=True), partial(digits, flat=False)
SETUPS: dict[str, Setup] = {
    setup.name: setup
    for setup in (
        Setup("mlp-relu-momentum", partial(_mlp, 64, 10), _FLAT, F.cross_entropy, momentum),
        Setup("mlp-tanh-adam", partial(_mlp, 64, 10, nn.Tanh), _FLAT, F.cross_entropy, adam),
        Setup("cnn-momentum", partial(_cnn, norm=False), _IMAGES, F.cross_entropy, momentum),
        Setup("cnn-batchnorm-sgd", partial(_cnn, norm=True), _IMAGES, F.cross_entropy, sgd),
        Setup("cnn-adam", partial(_cnn, norm=False), _IMAGES, F.cross_entropy, adam),
        Setup("gpt-adam", _Gpt, walks, next_symbol, adam, 32),
        Setup("lstm-adam", _Lstm, walks, next_symbol, adam, 32),
        Setup("regression-adam", partial(_mlp, 20, 1), _regression, F.mse_loss, adam),
        Setup("regression-momentum", partial(_mlp, 20, 1), _regression, F.mse_loss, momentum),
    )
}
