"""Small models of which parts get no gradient, and what the probe `wiring` says of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from builders import observe, target
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from auditor.observation import Observation

_GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(128, 20, generator=_GENERATOR)
Y = X[:, :3].argmax(dim=1)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(20, 32)
        self.b = nn.Linear(32, 32)
        self.c = nn.Linear(32, 3)

    def features(self, x: Tensor) -> Tensor:
        return F.relu(self.b(F.relu(self.a(x))))

    def between(self, h: Tensor) -> Tensor:
        return h

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.c(self.between(self.features(x)))
        return out


class Encoder(Net):
    """Returns a second head, as encoders with a pooler do."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.Linear(32, 32)

    def forward(self, x: Tensor) -> Any:
        h = self.features(x)
        return self.c(h), {"pooled": self.pool(h)}


class Pooled(nn.Module):
    """Reads the first head only."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.encoder(x)[0]
        return out


def values(observation: Observation, name: str) -> Mapping[str, Any]:
    return {m.subject: m.value for m in observation.measurements if m.name == name}


def cut(make_model: Callable[[], nn.Module], **changes: Any) -> tuple[set[str], set[str]]:
    """Return the parameters that are cut off, and the calls that are named for it."""
    observation = observe("wiring", target(make_model, X, Y, **changes))
    lost = {name for name, count in values(observation, "cut_batches").items() if count}
    return lost, set(values(observation, "cut_by").values())
