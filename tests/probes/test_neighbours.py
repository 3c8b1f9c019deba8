"""Nearest neighbours as a mark for a model, and when they cannot be asked."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from builders import observe, part_of_probes, target
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from auditor.losscall import LossCall
from auditor.observation import Observation
from auditor.target import WithTrainingStep

FEATURES, CLASSES, FEW = 20, 4, 6

is_asked_for = part_of_probes("_simple").is_asked_for


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(FEATURES, 64), nn.ReLU(), nn.Linear(64, CLASSES))


def number(observation: Observation, name: str) -> float:
    value = observation.value(name)
    assert isinstance(value, (int, float)), f"{name}: {observation.absent} {observation.missed}"
    return float(value)


class Squeezed(nn.Module):
    """Two units where twenty features matter."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(FEATURES, 1), nn.ReLU(), nn.Linear(1, CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net(x)
        return out


def test_neighbours_lead_where_the_model_is_too_small() -> None:
    g = torch.Generator().manual_seed(0)
    centres = 3 * torch.randn(CLASSES, FEATURES, generator=g)
    y = torch.randint(0, CLASSES, (1200,), generator=g)
    x = centres[y] + torch.randn(1200, FEATURES, generator=g)
    small, fitting = (
        observe("fit", target(make, x[:900], y[:900], lr=1e-2, val=(x[900:], y[900:])))
        for make in (Squeezed, mlp))

    assert number(small, "neighbours_lead") > 0.1
    assert number(fitting, "neighbours_lead") < 0.05


@pytest.mark.parametrize("loss_fn", [nn.BCEWithLogitsLoss(), nn.MSELoss()])
def test_neighbours_are_asked_about_several_labels_and_numbers(loss_fn: nn.Module) -> None:
    g = torch.Generator().manual_seed(0)
    centres = 3 * torch.randn(8, FEATURES, generator=g)
    which = torch.randint(0, 8, (1200,), generator=g)
    x = centres[which] + torch.randn(1200, FEATURES, generator=g)
    # Three bits of the cluster's number, in another order than the clusters lie in space.
    y = torch.stack([which % 2, which // 2 % 2, which // 4], dim=1).float()

    observation = observe("fit", target(
        lambda: nn.Sequential(nn.Linear(FEATURES, 1), nn.ReLU(), nn.Linear(1, 3)),
        x[:900], y[:900], loss_fn, lr=1e-2, val=(x[900:], y[900:])))

    assert number(observation, "neighbours_score") > 0.9
    assert number(observation, "neighbours_lead") > 0.1


class Noisy(nn.Module):
    """Predicts the noise of a noisy input, or the input itself."""

    def __init__(self, wanted: str) -> None:
        super().__init__()
        self.wanted = wanted
        self.net = nn.Sequential(nn.Linear(FEW, 32), nn.ReLU(), nn.Linear(32, FEW))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        noise = torch.randn_like(x)
        return self.net(x + noise), noise if self.wanted == "noise" else x


@pytest.mark.parametrize(("wanted", "batch_holds"), [
    ("noise", "a class"), ("noise", "the input"), ("input", "the input"),
])
def test_neighbours_are_not_asked_about_what_the_loss_does_not_compare_with(
    wanted: str, batch_holds: str,
) -> None:
    x = torch.randn(240, FEW, generator=torch.Generator().manual_seed(0))
    held = {"a class": (x[:, 0] > 0).long(), "the input": x}[batch_holds]

    def step(model: nn.Module, batch: Any) -> Tensor:
        said, target_of_loss = model(batch[0])
        return F.mse_loss(said, target_of_loss)

    observation = observe("fit", target(
        lambda: Noisy(wanted), x[:160], held[:160], val=(x[160:], held[160:]),
        compute=WithTrainingStep(step)))

    assert observation.value("neighbours_asked") is False
    assert number(observation, "fit_steps") > 0


def call(name: str, target_of_loss: Tensor) -> LossCall:
    return LossCall(name, torch.zeros(1), target_of_loss, {}, None, raised=False)


NOISE = torch.randn(200, 3, generator=torch.Generator().manual_seed(1))
NUMBERS = torch.randn(200, 3, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("units", [
    lambda y: y, lambda y: -3 * y + 1, lambda y: (5 * y).exp(), lambda y: y[:50],
    lambda y: y * torch.tensor([1.0, 1e-3, 10.0]) + torch.tensor([0.0, 1000.0, 0.0]),
    lambda y: torch.zeros_like(y), lambda y: y.unsqueeze(1), lambda y: y.to_sparse(),
])
def test_numbers_in_other_units_are_the_datas(units: Any) -> None:
    assert is_asked_for(NUMBERS, call("mse_loss", units(NUMBERS)))


@pytest.mark.parametrize("other", [NOISE, NUMBERS - NOISE, torch.cat([NUMBERS, NUMBERS])])
def test_other_numbers_are_not_the_datas(other: Tensor) -> None:
    assert not is_asked_for(NUMBERS, call("mse_loss", other))


def test_classes_may_have_other_names_but_are_not_drawn() -> None:
    y = torch.arange(200) % CLASSES

    assert is_asked_for(y, call("cross_entropy", CLASSES - 1 - y))
    assert is_asked_for(F.one_hot(y), call("cross_entropy", y))
    assert not is_asked_for(y, call("cross_entropy", y[torch.randperm(200)]))


@pytest.mark.parametrize("unknown", [None, ["a"], torch.eye(3).to_sparse()])
def test_what_cannot_be_compared_tells_nothing(unknown: Any) -> None:
    assert is_asked_for(unknown, call("mse_loss", NUMBERS))
