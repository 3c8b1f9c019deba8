"""Nearest neighbours as a mark for a model, and when they cannot be asked."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from builders import observe, target
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from auditor.observation import Observation
from auditor.target import WithTrainingStep

FEATURES, CLASSES, FEW = 20, 4, 6


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(FEATURES, 64), nn.ReLU(), nn.Linear(64, CLASSES))


def data(samples: int) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(samples)
    return (torch.randn(samples, FEATURES, generator=g),
            torch.randint(0, CLASSES, (samples,), generator=g))


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

    def __init__(self, *, of_noise: bool) -> None:
        super().__init__()
        self.of_noise = of_noise
        self.net = nn.Sequential(nn.Linear(FEW, 32), nn.ReLU(), nn.Linear(32, FEW))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        noise = torch.randn_like(x)
        return self.net(x + noise), noise if self.of_noise else x


@pytest.mark.parametrize(("of_noise", "batch_holds"), [
    (True, "numbers"), (True, "a class"), (True, "the input"), (False, "the input"),
])
def test_neighbours_are_not_asked_about_what_the_loss_does_not_compare_with(
    of_noise: bool, batch_holds: str,
) -> None:
    x = torch.randn(240, FEW, generator=torch.Generator().manual_seed(0))
    held = {"numbers": x**2, "a class": (x[:, 0] > 0).long(), "the input": x}[batch_holds]

    def step(model: nn.Module, batch: Any) -> Tensor:
        said, wanted = model(batch[0])
        return F.mse_loss(said, wanted)

    observation = observe("fit", target(
        lambda: Noisy(of_noise=of_noise), x[:160], held[:160], val=(x[160:], held[160:]),
        compute=WithTrainingStep(step)))

    assert observation.value("neighbours_asked") is False
    assert number(observation, "fit_steps") > 0


@pytest.mark.parametrize("units", [lambda y: y, lambda y: -3 * y + 1, torch.exp])
def test_neighbours_are_asked_about_targets_in_other_units(units: Any) -> None:
    x = torch.randn(240, 2, generator=torch.Generator().manual_seed(0))
    y = x.sum(dim=1, keepdim=True) / 2

    def step(model: nn.Module, batch: Any) -> Tensor:
        return F.mse_loss(model(batch[0]), units(batch[1]))

    observation = observe("fit", target(
        lambda: nn.Linear(2, 1), x[:160], y[:160], val=(x[160:], y[160:]),
        compute=WithTrainingStep(step)))

    assert observation.value("neighbours_asked") is True


def test_neighbours_are_asked_about_classes_by_other_names_but_not_about_drawn_ones() -> None:
    def step(rename: Any) -> WithTrainingStep:
        return WithTrainingStep(lambda model, batch: F.cross_entropy(
            model(batch[0]), rename(batch[1])))

    renamed, drawn = (
        observe("fit", target(mlp, *data(160), val=data(80), compute=step(rename)))
        for rename in (lambda y: CLASSES - 1 - y, lambda y: torch.randint_like(y, CLASSES)))

    assert renamed.value("neighbours_asked") is True
    assert drawn.value("neighbours_asked") is False
