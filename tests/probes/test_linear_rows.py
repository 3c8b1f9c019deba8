"""Layers in a row with nothing between that bends."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

import pytest
from layer_cases import number, observed
from torch import nn


def test_layers_in_a_row_are_counted_by_call() -> None:
    def make() -> nn.Module:
        return nn.Sequential(nn.Linear(32, 32), nn.Dropout(0.1), nn.Linear(32, 16), nn.ReLU(),
                             nn.Linear(16, 4))

    observation = observed(make)

    assert number(observation, "linear_layers", "0") == 2
    assert observation.value("linear_chain", "2") == "0, 2"
    assert number(observation, "linear_layers", "4") == 1


@pytest.mark.parametrize("make", [
    lambda: nn.Sequential(nn.Linear(32, 4), nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 4)),
    lambda: nn.Sequential(nn.Unflatten(1, (2, 4, 4)), nn.Conv2d(2, 2, 3, padding=1, groups=2),
                          nn.Conv2d(2, 8, 1), nn.ReLU(), nn.Flatten(), nn.Linear(128, 4)),
    lambda: nn.Sequential(nn.Unflatten(1, (2, 4, 4)), nn.ConvTranspose2d(2, 2, 2, stride=2),
                          nn.Conv2d(2, 2, 3, padding=1), nn.ReLU(), nn.Flatten(),
                          nn.Linear(128, 4)),
], ids=["low rank", "depthwise separable", "learned upsampling"])
def test_factorisations_are_no_rows(make: Callable[[], nn.Module]) -> None:
    observation = observed(make)

    assert all(m.value == 1 for m in observation.measurements if m.name == "linear_layers")


@pytest.mark.parametrize("norm", [nn.ReLU, lambda: nn.LayerNorm(32), nn.Softplus])
def test_dropout_that_drops_nothing_hides_nothing(norm: Callable[[], nn.Module]) -> None:
    def make(dropout: nn.Module) -> nn.Module:
        block = [nn.Linear(32, 32), norm(), dropout]
        return nn.Sequential(*block, nn.Linear(32, 32), norm(), dropout, nn.Linear(32, 32), norm(),
                             nn.Linear(32, 4))

    for dropout in (nn.Dropout(0.0), nn.Dropout(0.3)):
        observation = observed(partial(make, dropout))
        assert all(m.value == 1 for m in observation.measurements if m.name == "linear_layers")


def _normed(*widths: int, norm: Callable[[int], nn.Module]) -> nn.Module:
    """Convolutions with norms and no activation between, and a head behind one."""
    layers: list[nn.Module] = [nn.Unflatten(1, (2, 4, 4))]
    for inputs, outputs in itertools.pairwise((2, *widths)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), norm(outputs)]
    return nn.Sequential(*layers, nn.ReLU(), nn.Flatten(), nn.Linear(16 * widths[-1], 4))


def test_three_layers_with_batch_normalisation_between_are_a_row() -> None:
    observation = observed(lambda: _normed(8, 16, 32, norm=nn.BatchNorm2d))

    assert number(observation, "linear_layers", "1") == 3
    assert observation.value("linear_chain", "3") == "1, 3, 5"
    assert number(observation, "linear_layers", "9") == 1


@pytest.mark.parametrize("make", [
    lambda: _normed(8, 16, norm=nn.BatchNorm2d),
    lambda: _normed(8, 16, 32, norm=nn.InstanceNorm2d),
    lambda: _normed(8, 16, 32, norm=lambda width: nn.GroupNorm(2, width)),
    lambda: _normed(8, 2, 32, norm=nn.BatchNorm2d),
], ids=["linear bottleneck", "instance norm", "group norm", "narrow middle"])
def test_rows_with_other_norms_or_of_two_layers_are_meant(make: Callable[[], nn.Module]) -> None:
    observation = observed(make)

    assert all(m.value == 1 for m in observation.measurements if m.name == "linear_layers")
