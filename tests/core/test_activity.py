"""Statistics of activations against slow ways of computing them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from auditor.activity import ActivationRecord, ActivationStatistics
from auditor.recorder import watching
from auditor.spread import sample_spread, sample_variation, spread_sample


def _watched(model: nn.Sequential, *batches: torch.Tensor) -> ActivationStatistics:
    statistics = ActivationStatistics(len(batches[0]))
    statistics.close = True
    with watching(model, statistics):
        for batch in batches:
            model(batch)
    return statistics


def _record(model: nn.Sequential, *batches: torch.Tensor) -> ActivationRecord:
    return next(iter(_watched(model, *batches).records.values()))


def test_a_dead_unit_is_counted_once_over_several_batches() -> None:
    linear = nn.Linear(3, 4)
    with torch.no_grad():
        linear.bias.copy_(torch.tensor([-1e6, 1e6, 1e6, 1e6]))
    statistics = ActivationStatistics(8)
    model = nn.Sequential(linear, nn.ReLU())

    for seed in range(3):
        with watching(model, statistics):
            model(torch.randn(8, 3, generator=torch.Generator().manual_seed(seed)))

    assert statistics.dead_shares()["1"] == 0.25
    assert statistics.records["1"].samples == 24


def test_a_unit_that_fires_for_one_sample_is_alive() -> None:
    linear = nn.Linear(1, 1, bias=False)
    nn.init.ones_(linear.weight)

    watched = _watched(nn.Sequential(linear, nn.ReLU()), torch.tensor([[-1.0], [-2.0], [0.1]]))

    assert watched.dead_shares() == {"1": 0.0}


def test_what_is_not_a_number_is_not_dead() -> None:
    watched = _watched(nn.Sequential(nn.ReLU()), torch.tensor([[-1.0, torch.nan], [-2.0, -1.0]]))

    assert watched.dead_shares() == {"0": 0.5}


def test_the_units_of_a_convolution_are_its_channels() -> None:
    conv = nn.Conv2d(1, 2, 1)
    with torch.no_grad():
        conv.weight.zero_()
        conv.bias.copy_(torch.tensor([-1.0, 1.0]))  # type: ignore[union-attr]

    watched = _watched(nn.Sequential(conv, nn.ReLU()), torch.randn(4, 1, 5, 5))

    assert watched.records["1"].units == 2 and watched.dead_shares() == {"1": 0.5}


def test_forgetting_starts_a_new_count_of_living_units() -> None:
    linear = nn.Linear(1, 1)
    nn.init.ones_(linear.weight)
    nn.init.zeros_(linear.bias)
    model, statistics = nn.Sequential(linear, nn.ReLU()), ActivationStatistics(2)
    with watching(model, statistics):
        model(torch.ones(2, 1))

    statistics.forget()
    with watching(model, statistics):
        model(-torch.ones(2, 1))

    assert statistics.dead_shares()["1"] == 1.0


def test_units_that_have_all_fired_are_alive_until_they_are_forgotten() -> None:
    linear = nn.Linear(1, 1)
    nn.init.ones_(linear.weight)
    nn.init.zeros_(linear.bias)
    model, statistics = nn.Sequential(linear, nn.ReLU()), ActivationStatistics(2)

    def see(value: float) -> ActivationRecord:
        with watching(model, statistics):
            model(torch.full((2, 1), value))
        # Further passes see no modules.
        statistics.layouts = False
        return statistics.records["1"]

    assert not see(-1.0).all_fire
    assert see(1.0).all_fire
    assert see(2.0).peaks == 1.0 and statistics.dead_shares()["1"] == 0.0
    assert statistics.records["1"].samples == 6
    statistics.forget()
    assert not see(-1.0).all_fire and statistics.dead_shares()["1"] == 1.0
    assert see(3.0).peaks == 3.0 and statistics.dead_shares()["1"] == 0.0


def test_flat_share_and_slope_agree_with_the_derivative() -> None:
    x = torch.linspace(-6, 6, 4001).reshape(-1, 1)
    linear = nn.Linear(1, 1)
    nn.init.ones_(linear.weight)
    nn.init.zeros_(linear.bias)
    slope = torch.autograd.functional.jacobian(lambda v: torch.tanh(v).sum(), x)  # type: ignore[no-untyped-call]

    record = _record(nn.Sequential(linear, nn.Tanh()), x)

    # All 4,001 values are in the sample, the middle one twice.
    assert record.slope[0] == pytest.approx(float(slope.mean()), abs=3e-4)
    assert record.flat[0] == pytest.approx(float((slope < 0.05).float().mean()), abs=1e-3)


def test_a_spread_sample_of_a_channel_layout_sees_all_channels() -> None:
    tensor = torch.arange(64.0).repeat(4096, 1)

    sample = spread_sample(tensor, 1024)

    assert len(sample) == 1024
    assert len(set(sample.tolist())) == 64


def test_the_spread_over_samples_is_that_of_every_feature() -> None:
    x = torch.randn(40, 10, generator=torch.Generator().manual_seed(0)) * 3 + 100

    assert sample_spread(x) == pytest.approx(float(x.var(0, unbiased=False).mean().sqrt()))


def test_a_constant_output_has_no_variation_and_one_sample_is_unknown() -> None:
    assert sample_variation(torch.full((8, 3), 5.0)) == 0.0
    assert sample_variation(torch.zeros(8, 3)) == 0.0
    assert math.isnan(sample_variation(torch.ones(1, 3)))


@pytest.mark.parametrize(("same", "inplace", "constant"), [
    (True, False, True), (False, False, False), (True, True, True), (False, True, False),
])
def test_an_input_that_is_the_same_for_all_samples_is_told(
    same: bool, inplace: bool, constant: bool,
) -> None:
    x = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=inplace))

    record = _record(model, torch.ones(8, 3) if same else x)

    # An activation in place has overwritten what it got; its output tells.
    assert record.constant_input is constant


@pytest.mark.parametrize(("differ", "constant"), [(0.0, True), (0.01, True), (0.5, False)])
@pytest.mark.parametrize("inplace", [False, True])
def test_an_input_that_was_the_same_at_first_is_told_until_it_clearly_differs(
    differ: float, constant: bool, inplace: bool,
) -> None:
    torch.manual_seed(0)
    same = torch.ones(8, 3)
    model = nn.Sequential(nn.Linear(3, 32, bias=False), nn.ReLU(inplace=inplace))

    statistics = ActivationStatistics(8)

    for batch in (same, same + differ * torch.randn(8, 3)):
        with watching(model, statistics):
            model(batch)

    assert statistics.records["1"].constant_input is constant


@pytest.mark.parametrize("activation", [nn.ReLU(inplace=True), nn.Sigmoid()])
def test_an_output_that_is_all_the_same_does_not_hide_that_its_input_differs(
    activation: nn.Module,
) -> None:
    linear = nn.Linear(3, 4)
    nn.init.constant_(linear.bias, -1e3)

    record = _record(nn.Sequential(linear, activation), torch.randn(8, 3))

    assert record.variation == [0.0]
    assert not record.constant_input
