"""Growth of the gradient towards the input, along layers that feed each other alone."""

from __future__ import annotations

import torch
from builders import observe, target
from torch import Tensor, nn

STEEP = 2.0


def data() -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(400, 6, 16, generator=g)
    return x, (x.mean(dim=(1, 2)) > 0).long()


class Forked(nn.Module):
    """A layer that is read twice, once by a branch that says little as yet."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(16, 32)
        self.side, self.head = nn.Linear(32, 2), nn.Linear(32, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.project(x.mean(dim=1))
        side = self.side(x) * 1e-4
        return side + self.head(x)  # type: ignore[no-any-return]


class Deep(nn.Module):
    """Layers of weights N(0, 1), one behind the other."""

    def __init__(self) -> None:
        super().__init__()
        widths = (16, 64, 64, 64, 2)
        layers: list[nn.Module] = []
        for inputs, outputs in zip(widths, widths[1:], strict=False):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
            nn.init.normal_(layers[-2].weight)  # type: ignore[arg-type]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x.mean(dim=1))  # type: ignore[no-any-return]


def test_what_comes_back_beside_a_silent_branch_is_no_growth() -> None:
    found = observe("layers", target(Forked, *data()))

    assert float(found.value("gradient_decades", "project")) > STEEP  # type: ignore[arg-type]
    assert float(found.value("depth_growth_decades", "project")) == 0  # type: ignore[arg-type]


def test_large_weights_in_a_row_make_the_gradient_grow() -> None:
    found = observe("layers", target(Deep, *data()))

    assert float(found.value("depth_growth_decades", "layers.0")) > STEEP  # type: ignore[arg-type]
