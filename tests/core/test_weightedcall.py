"""What one output of a layer sums over, however the layer is called."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from auditor.layergraph import LayerGraph, LayerUse
from auditor.recorder import watching


def _first_layer(model: nn.Module, x: Tensor) -> LayerUse:
    graph = LayerGraph(model)
    with watching(model, graph):
        model(x)
    return graph.layers[0]


@pytest.mark.parametrize(("layer", "shape", "fan_in"), [
    (nn.Linear(7, 3), (2, 7), 7),
    (nn.Conv2d(4, 6, 3), (2, 4, 8, 8), 36),
    (nn.Conv2d(4, 4, 3, groups=4), (2, 4, 8, 8), 9),
    (nn.ConvTranspose2d(4, 6, 4, stride=2), (2, 4, 8, 8), 16),
])
def test_fan_in_counts_what_one_output_sums_over(
    layer: nn.Module, shape: tuple[int, ...], fan_in: int,
) -> None:
    use = _first_layer(nn.Sequential(layer), torch.randn(shape))

    assert use.fan_in == fan_in


@pytest.mark.parametrize(("stride", "dims", "fan_in"), [(2, 1, 8), ((2,), 2, 16), (None, 2, 64)])
def test_fan_in_of_a_function_goes_by_its_own_strides(
    stride: Any, dims: int, fan_in: int,
) -> None:
    class Decoder(nn.Module):
        stride = 7

        def __init__(self) -> None:
            super().__init__()
            self.filters = nn.Parameter(torch.randn(4, 1, *(4,) * dims))

        def forward(self, x: Tensor) -> Tensor:
            function = (F.conv_transpose1d, F.conv_transpose2d)[dims - 1]
            return function(x, self.filters, **({} if stride is None else {"stride": stride}))

    use = _first_layer(Decoder(), torch.randn(3, 4, *(8,) * dims))

    assert use.fan_in == fan_in


def test_a_bare_parameter_is_a_layer_named_after_itself() -> None:
    class Bare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4, 2))

        def forward(self, x: Tensor) -> Tensor:
            return x @ self.weight

    use = _first_layer(Bare(), torch.randn(3, 4))

    assert (use.name, use.fan_in) == ("weight", 4)
