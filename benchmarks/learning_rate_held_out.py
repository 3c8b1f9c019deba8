"""Eight set-ups that nothing was ever chosen on, with seeds from 30 on.

They were fixed by the losses of the grid alone, before the probe was asked for a rate of theirs.
They stay a measure only while that holds: a probe that is changed after their table needs others.
"""

from __future__ import annotations

import math
from functools import cache, partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from benchmarks.learning_rate_setups import Setup, digits

_WORDS, _LONGEST = 200, 16
_REGIONS, _SHORES = 12, 4
_PHRASES, _PHRASE, _TOKENS = 16, 4, 48
_PLACES = 4 * _PHRASE
_QUANTILES = (0.1, 0.5, 0.9)


@cache
def _reviews() -> tuple[Tensor, Tensor]:
    """Return texts, padded with 0, and whether they praise: word 1 turns the next one around."""
    g = torch.Generator().manual_seed(31)
    words = torch.multinomial(1 / torch.arange(1.0, _WORDS), 4000 * _LONGEST, replacement=True,
                              generator=g).reshape(4000, _LONGEST) + 1
    praise = torch.randn(_WORDS, generator=g)
    praise[1] = 0
    turned = torch.cat([torch.zeros(4000, 1, dtype=torch.bool), words[:, :-1] == 1], 1)
    there = torch.arange(_LONGEST) < torch.randint(6, _LONGEST + 1, (4000, 1), generator=g)
    total = (torch.where(turned, -praise[words], praise[words]) * there).sum(1)
    return words * there, (total > 0).long()


@cache
def _houses() -> tuple[Tensor, Tensor]:
    """Return six numbers, a region and a kind of shore, and the price, which is capped."""
    g = torch.Generator().manual_seed(32)
    numbers = torch.randn(4000, 6, generator=g)
    income, age, rooms, _, north, east = numbers.unbind(1)
    region = torch.randint(0, _REGIONS, (4000,), generator=g)
    shore = torch.randint(0, _SHORES, (4000,), generator=g)
    fame = torch.randn(_REGIONS, generator=g)
    view = torch.randn(_REGIONS, _SHORES, generator=g)
    worth = (0.5 + 0.4 * income + 0.1 * age * rooms + 0.2 * fame[region]
             + 0.2 * view[region, shore] - 0.15 * (north + east) ** 2
             + 0.15 * torch.randn(4000, generator=g))
    x = torch.cat([numbers, region.unsqueeze(1), shore.unsqueeze(1)], 1)
    return x, worth.exp().clamp(max=5).unsqueeze(1)


@cache
def _pairs() -> tuple[Tensor, Tensor]:
    """Return pairs of digits, and whether both show the same one; every second pair does."""
    x, labels = digits(flat=False)
    g = torch.Generator().manual_seed(33)
    left = torch.randint(0, len(x), (3000,), generator=g)
    right = torch.randint(0, len(x), (3000,), generator=g)
    for i in range(0, 3000, 2):
        alike = (labels == labels[left[i]]).nonzero().squeeze(1)
        right[i] = alike[torch.randint(0, len(alike), (), generator=g)]
    return torch.stack([x[left], x[right]], 1), (labels[left] == labels[right]).float()


@cache
def _shapes(size: int = 16) -> tuple[Tensor, Tensor]:
    """Return noisy pictures of a disc and a bar, and where the disc is."""
    g = torch.Generator().manual_seed(34)
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    middle = 4 + (size - 8) * torch.rand(1200, 2, 1, 1, generator=g)
    radius = 2 + 3 * torch.rand(1200, 1, 1, generator=g)
    disc = (rows - middle[:, 0]) ** 2 + (columns - middle[:, 1]) ** 2 < radius**2
    bar = (columns - size * torch.rand(1200, 1, 1, generator=g)).abs() < 1.5
    x = 0.8 * disc + 0.8 * bar + 0.4 * torch.randn(1200, size, size, generator=g)
    return x.unsqueeze(1), disc.float().unsqueeze(1)


@cache
def _patterns(size: int = 16) -> tuple[Tensor, Tensor]:
    """Return stripes of three directions, checks, rings and rays in two colours, and which."""
    g = torch.Generator().manual_seed(35)
    y = torch.randint(0, 6, (3000,), generator=g)
    rows, columns = torch.meshgrid(*[torch.linspace(-1, 1, size)] * 2, indexing="ij")
    turns = 4 + 4 * torch.rand(3000, 1, 1, generator=g)
    phase = 2 * math.pi * torch.rand(3000, 1, 1, generator=g)
    across, down = (torch.sin(turns * at + phase) for at in (columns, rows))
    drawn = torch.stack([
        across, down, torch.sin(turns * (rows + columns) / math.sqrt(2) + phase), across * down,
        torch.sin(turns * (rows**2 + columns**2).sqrt() + phase),
        torch.sin(turns.round() * torch.atan2(rows, columns) + phase),
    ])[y, torch.arange(3000)].unsqueeze(1)
    colours = torch.rand(2, 3000, 3, 1, 1, generator=g)
    x = colours[0] + (colours[1] - colours[0]) * (drawn + 1) / 2
    return x + 0.05 * torch.randn(3000, 3, size, size, generator=g), y


@cache
def _rentals() -> tuple[Tensor, Tensor]:
    """Return hour, warmth, rain and holiday, and how many bicycles were rented."""
    g = torch.Generator().manual_seed(36)
    hour = 2 * math.pi * torch.rand(3000, generator=g)
    warmth = torch.randn(3000, generator=g)
    rain, holiday = (torch.rand(2, 3000, generator=g) < torch.tensor([[0.3], [0.2]])).float()
    rush = torch.exp(-4 * (1 - torch.cos(2 * hour)))
    rate = torch.exp(0.8 - 0.6 * torch.cos(hour) + 1.2 * rush * (1 - holiday) + 0.4 * warmth
                     - 0.2 * warmth**2 - 0.8 * rain)
    x = torch.stack([hour.cos(), hour.sin(), warmth, rain, holiday], 1)
    return x, torch.poisson(rate, generator=g).unsqueeze(1)


@cache
def _masked() -> tuple[Tensor, Tensor]:
    """Return rows of phrases with one token in six hidden by a 0, and the hidden ones.

    Some tokens are in several phrases: it can take more than one neighbour to tell which it was.
    """
    g = torch.Generator().manual_seed(37)
    phrases = torch.randint(1, _TOKENS, (_PHRASES, _PHRASE), generator=g)
    spoken = torch.randint(0, _PHRASES, (2500, _PLACES // _PHRASE), generator=g)
    tokens = phrases[spoken].flatten(1)
    hidden = torch.rand(tokens.shape, generator=g) < 1 / 6
    return tokens.masked_fill(hidden, 0), tokens.masked_fill(~hidden, -100)


@cache
def _waits() -> tuple[Tensor, Tensor]:
    """Return what is known of a parcel, and the days until it came: skewed, and ever more so."""
    g = torch.Generator().manual_seed(38)
    x = torch.rand(5000, 8, generator=g)
    usual = 0.8 + x[:, 0] + torch.sin(3 * x[:, 1]) * x[:, 2]
    spread = 0.1 + 0.5 * x[:, 3] * x[:, 4]
    return x, (usual + spread * torch.randn(5000, generator=g)).exp().unsqueeze(1)


class _Reader(nn.Module):
    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.words = nn.Embedding(_WORDS, width, padding_idx=0)
        self.lstm = nn.LSTM(width, width, batch_first=True, bidirectional=True)
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(2 * width, 2))
        for name, weights in self.lstm.named_parameters():
            if name.startswith("weight_hh"):
                nn.init.orthogonal_(weights)

    def forward(self, ids: Tensor) -> Tensor:
        out: Tensor = self.head(self.lstm(self.words(ids))[0].amax(1))
        return out


class _WideAndDeep(nn.Module):
    """Adds a linear model of the crossed kinds to a network of their embeddings."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.wide = nn.Embedding(_REGIONS * _SHORES, 1)
        self.regions, self.shores = nn.Embedding(_REGIONS, 6), nn.Embedding(_SHORES, 3)
        self.deep = nn.Sequential(nn.Linear(15, width), nn.ReLU(), nn.Linear(width, width // 2),
                                  nn.ReLU(), nn.Linear(width // 2, 1))
        nn.init.zeros_(self.wide.weight)
        for part in self.deep:
            if isinstance(part, nn.Linear):
                nn.init.xavier_uniform_(part.weight)
                nn.init.zeros_(part.bias)

    def forward(self, x: Tensor) -> Tensor:
        region, shore = x[:, 6].long(), x[:, 7].long()
        known = torch.cat([x[:, :6], self.regions(region), self.shores(shore)], 1)
        out: Tensor = self.wide(region * _SHORES + shore) + self.deep(known)
        return out


class _Inception(nn.Module):
    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Conv2d(channels, out, size, padding=size // 2) for size in (1, 3, 5))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(torch.cat([branch(x) for branch in self.branches], 1))


class _Siamese(nn.Module):
    """Gives the distance between the codes of two pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.code = nn.Sequential(
            _Inception(1, 4), nn.MaxPool2d(2), _Inception(12, 8), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(96, 16),
        )

    def forward(self, pairs: Tensor) -> Tensor:
        left, right = self.code(pairs.flatten(0, 1)).unflatten(0, (-1, 2)).unbind(1)
        # The root has no gradient at 0.
        out: Tensor = ((left - right).square().sum(1) + 1e-6).sqrt()
        return out


def _contrast(distance: Tensor, same: Tensor) -> Tensor:
    return (same * distance**2 + (1 - same) * F.relu(1 - distance) ** 2).mean()


def _normed(channels: int, out: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU())


class _UNet(nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.fine, self.coarse = _normed(1, width), _normed(width, 2 * width)
        self.deepest = _normed(2 * width, 4 * width)
        self.joined, self.joined_again = _normed(6 * width, width), _normed(2 * width, width)
        self.head = nn.Conv2d(width, 1, 1)
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight)

    def forward(self, x: Tensor) -> Tensor:
        fine = self.fine(x)
        coarse = self.coarse(F.max_pool2d(fine, 2))
        raised = F.interpolate(self.deepest(F.max_pool2d(coarse, 2)), scale_factor=2)
        raised = F.interpolate(self.joined(torch.cat([coarse, raised], 1)), scale_factor=2)
        out: Tensor = self.head(self.joined_again(torch.cat([fine, raised], 1)))
        return out


def _overlap(logits: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy of the pixels and one minus the Dice coefficient, added."""
    shown = torch.sigmoid(logits)
    common, both = (shown * target).sum((1, 2, 3)), (shown + target).sum((1, 2, 3))
    dice = (2 * common + 1) / (both + 1)
    return F.binary_cross_entropy_with_logits(logits, target) + 1 - dice.mean()


class _MixerBlock(nn.Module):
    def __init__(self, patches: int, width: int) -> None:
        super().__init__()
        self.over_patches = nn.Sequential(
            nn.Linear(patches, 2 * patches), nn.GELU(), nn.Linear(2 * patches, patches))
        self.over_channels = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(),
            nn.Linear(2 * width, width))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.over_patches(self.norm(x).transpose(1, 2)).transpose(1, 2)
        out: Tensor = x + self.over_channels(x)
        return out


class _Mixer(nn.Module):
    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.blocks = nn.Sequential(*(_MixerBlock(16, width) for _ in range(2)))
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 6))

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        out: Tensor = self.head(self.blocks(tokens).mean(1))
        return out


def _counter(width: int = 40) -> nn.Module:
    """Return a network that expects one rental whatever the input, as its head starts at 0."""
    head = nn.Linear(width, 1)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    return nn.Sequential(nn.Linear(5, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), head)


class _Bert(nn.Module):
    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(_TOKENS, width), nn.Embedding(_PLACES, width)
        self.norm = nn.LayerNorm(width)
        layer = nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=0.0, activation="gelu",
                                           batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(width, _TOKENS)
        for part in self.modules():
            if isinstance(part, nn.Linear | nn.Embedding):
                nn.init.trunc_normal_(part.weight, std=0.02)

    def forward(self, ids: Tensor) -> Tensor:
        h = self.norm(self.tokens(ids) + self.places(torch.arange(_PLACES)))
        out: Tensor = self.head(self.layers(h))
        return out


def _hidden_ones(output: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(output.flatten(0, 1), target.flatten(), ignore_index=-100)


def _quantiles(width: int = 56) -> nn.Module:
    return nn.Sequential(
        nn.Linear(8, width), nn.LayerNorm(width), nn.ELU(), nn.Linear(width, width),
        nn.LayerNorm(width), nn.ELU(), nn.Linear(width, len(_QUANTILES)),
    )


def _pinball(output: Tensor, target: Tensor) -> Tensor:
    short = target - output
    share = torch.tensor(_QUANTILES)
    return torch.maximum(share * short, (share - 1) * short).mean()


def _adam(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=lr)


def _rmsprop(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    return torch.optim.RMSprop(model.parameters(), lr=lr, alpha=0.9, momentum=0.9)


def _heavy(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.95)


def _sharp_adam(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=lr, betas=(0.9, 0.99))


def _nesterov(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, nesterov=True,
                           weight_decay=1e-3)


def _sgd(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=lr)


def _adamw(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.98), eps=1e-6)


def _adamax(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    return torch.optim.Adamax(model.parameters(), lr=lr)


_HUBER = partial(F.huber_loss, delta=0.5)
HELD_OUT: dict[str, Setup] = {
    setup.name: setup
    for setup in (
        Setup("reviews-adam", _Reader, _reviews, F.cross_entropy, _adam, 48),
        Setup("houses-rmsprop", _WideAndDeep, _houses, _HUBER, _rmsprop, 160),
        Setup("siamese-momentum", _Siamese, _pairs, _contrast, _heavy, 30),
        Setup("unet-adam", _UNet, _shapes, _overlap, _sharp_adam, 12),
        Setup("mixer-nesterov", _Mixer, _patterns, F.cross_entropy, _nesterov, 54),
        Setup("rentals-sgd", _counter, _rentals, F.poisson_nll_loss, _sgd, 36),
        Setup("masked-adamw", _Bert, _masked, _hidden_ones, _adamw, 28),
        Setup("quantiles-adamax", _quantiles, _waits, _pinball, _adamax, 120),
    )
}
