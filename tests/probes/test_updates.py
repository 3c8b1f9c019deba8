"""What the probe `layers` measures of the optimizer's updates."""

from __future__ import annotations

import pytest
import torch
from layer_cases import mlp, number, observed, samples
from torch import Tensor, nn


def test_adam_moves_all_layers_alike() -> None:
    observation = observed(lambda: mlp(4), optimizer=torch.optim.Adam, lr=1e-3)

    assert abs(number(observation, "update_lag_decades", "0")) < 0.5


@pytest.mark.parametrize(("size", "grows"), [(1e-4, True), (0.3, False)])
def test_a_weight_in_an_einsum_may_start_near_zero(size: float, grows: bool) -> None:
    class Mixing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mix = nn.Parameter(size * torch.randn(
                32, 32, generator=torch.Generator().manual_seed(0)))
            self.head = nn.Linear(32, 4)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.head(x + torch.einsum("oi,bi->bo", self.mix, x))
            return out

    observation = observed(Mixing)

    assert number(observation, "update_ratio", "mix") > 0
    assert observation.value("grown_from_zero", "mix") is grows


@pytest.mark.parametrize("slower", [1.0, 1e4])
def test_a_slow_group_is_told_by_the_layer_that_moves_most(slower: float) -> None:
    def grouped(parameters: object, lr: float) -> torch.optim.Optimizer:
        *body, weight, bias = list(parameters)  # type: ignore[call-overload]
        groups = [{"params": body, "lr": lr / slower}, {"params": [weight, bias]}]
        return torch.optim.SGD(groups, lr)

    observation = observed(lambda: mlp(1), optimizer=grouped)
    shares = {name: number(observation, "update_share", name) for name in ("0.weight", "2.weight")}

    assert max(shares.values()) == 1
    assert (shares["0.weight"] < 1e-3) == (slower > 1)


class Branch(nn.Module):
    """A linear model with a branch behind a scale that grows with every pass."""

    scale: Tensor

    def __init__(self, growth: float) -> None:
        super().__init__()
        self.branch = nn.Linear(32, 32)
        self.temperature = nn.Parameter(torch.ones(32, 1))
        self.head = nn.Linear(32, 4)
        self.growth = growth
        self.register_buffer("scale", torch.tensor(1e-6))

    def forward(self, x: Tensor) -> Tensor:
        self.scale = self.scale * self.growth
        out: Tensor = self.head(x + self.scale * self.temperature.flatten() * self.branch(x))
        return out


@pytest.mark.parametrize("growth", [1.0, 1.3])
def test_a_weight_that_waits_for_the_scale_behind_it_is_judged_when_that_has_grown(
    growth: float,
) -> None:
    observation = observed(
        lambda: Branch(growth), optimizer=lambda p, lr: torch.optim.SGD(p, lr), lr=0.01)
    of_all_steps = (number(observation, "update_ratio", "branch.weight")
                    / number(observation, "update_ratio", "head.weight"))
    share = number(observation, "update_share", "branch.weight")

    assert of_all_steps < 0.1
    assert (share > 3 * of_all_steps) == (growth > 1)


def test_what_has_one_value_a_channel_is_no_weight_whatever_its_shape() -> None:
    observation = observed(lambda: Branch(1.3))

    assert observation.value("update_ratio", "temperature") is None
    assert observation.value("update_ratio", "branch.weight") is not None


@pytest.mark.parametrize("small", [False, True])
def test_a_single_layer_is_slow_beside_none(small: bool) -> None:
    def make() -> nn.Module:
        model = nn.Linear(32, 4)
        if small:
            nn.init.normal_(model.weight, std=1e-6)
        return model

    assert number(observed(make, lr=1e-9), "update_share", "weight") == 1


def test_the_update_ratio_is_that_of_plain_descent() -> None:
    model = nn.Linear(32, 4)
    x, y = samples(64)

    observation = observed(lambda: model_copy(model), data=(x, y), lr=1e-3)

    loss = nn.functional.cross_entropy(model(x), y)
    gradient = torch.autograd.grad(loss, model.weight)[0]
    # Over 45 steps of 1e-3 on one batch the gradient hardly changes.
    expected = float(1e-3 * gradient.norm() / model.weight.detach().norm())
    assert number(observation, "update_ratio", "weight") == pytest.approx(expected, rel=0.1)


def model_copy(model: nn.Linear) -> nn.Linear:
    fresh = nn.Linear(model.in_features, model.out_features)
    fresh.load_state_dict(model.state_dict())
    return fresh
