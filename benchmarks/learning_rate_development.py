"""Ten set-ups for choosing the numbers of the learning-rate probe, with seeds from 10 on.

They are kept apart from those that the benchmark judges: other models, other sizes, other data.
"""

from __future__ import annotations

from functools import partial

import torch
from sklearn.datasets import load_diabetes, make_friedman1
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from benchmarks.learning_rate_setups import (
    Setup,
    adam,
    digits,
    momentum,
    next_symbol,
    sgd,
    walks,
)

_SYMBOLS, _LENGTH = 16, 16


def _standardised(x: object, y: object) -> tuple[Tensor, Tensor]:
    inputs = torch.as_tensor(x, dtype=torch.float32)
    targets = torch.as_tensor(y, dtype=torch.float32).unsqueeze(1)
    return (inputs - inputs.mean(0)) / inputs.std(0), (targets - targets.mean()) / targets.std()


def _friedman() -> tuple[Tensor, Tensor]:
    return _standardised(*make_friedman1(1500, n_features=10, noise=0.5, random_state=1))


def _diabetes() -> tuple[Tensor, Tensor]:
    return _standardised(*load_diabetes(return_X_y=True))


def _pictures_twice() -> tuple[Tensor, Tensor]:
    x, _ = digits(flat=True)
    return x, x


class _Gru(nn.Module):
    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.token = nn.Embedding(_SYMBOLS, width)
        self.gru = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, _SYMBOLS)

    def forward(self, ids: Tensor) -> Tensor:
        out: Tensor = self.head(self.gru(self.token(ids))[0])
        return out


class _Transformer(nn.Module):
    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.token, self.place = nn.Embedding(_SYMBOLS, width), nn.Embedding(_LENGTH, width)
        self.layer = nn.TransformerEncoderLayer(
            width, 2, 2 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.head = nn.Linear(width, _SYMBOLS)

    def forward(self, ids: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(_LENGTH)
        h = self.layer(self.token(ids) + self.place(torch.arange(_LENGTH)), src_mask=mask)
        out: Tensor = self.head(h)
        return out


def _mlp(
    inputs: int, outputs: int, width: int, depth: int, activation: type[nn.Module] = nn.ReLU,
) -> nn.Module:
    sizes = [inputs, *[width] * depth]
    hidden = [part for n, m in zip(sizes, sizes[1:], strict=False)
              for part in (nn.Linear(n, m), activation())]
    return nn.Sequential(*hidden, nn.Linear(width, outputs))


def _cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64, 10),
    )


_FLAT, _IMAGES = partial(digits, flat=True), partial(digits, flat=False)
_WALKS = partial(walks, length=_LENGTH, states=_SYMBOLS)
DEVELOPMENT: dict[str, Setup] = {
    setup.name: setup
    for setup in (
        Setup("mlp-adam", partial(_mlp, 64, 10, 64, 2), _FLAT, F.cross_entropy, adam, 32),
        Setup("mlp-sgd", partial(_mlp, 64, 10, 96, 3), _FLAT, F.cross_entropy, sgd),
        Setup("tanh-momentum", partial(_mlp, 64, 10, 64, 4, nn.Tanh), _FLAT, F.cross_entropy,
              momentum),
        Setup("cnn-small-batch", _cnn, _IMAGES, F.cross_entropy, momentum, 32),
        Setup("friedman-momentum", partial(_mlp, 10, 1, 64, 2), _friedman, F.mse_loss, momentum),
        Setup("friedman-adam", partial(_mlp, 10, 1, 64, 3, nn.SiLU), _friedman, F.mse_loss, adam),
        Setup("diabetes-sgd", partial(_mlp, 10, 1, 32, 2), _diabetes, F.mse_loss, sgd, 32),
        Setup("autoencoder-adam", partial(_mlp, 64, 64, 24, 1), _pictures_twice, F.mse_loss, adam),
        Setup("gru-adam", _Gru, _WALKS, next_symbol, adam, 32),
        Setup("transformer-adam", _Transformer, _WALKS, next_symbol, adam, 32),
    )
}
