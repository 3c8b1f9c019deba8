"""The probes `reduction`, `initial_loss` and `embedding`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from builders import observe, target
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from auditor.target import WithTrainingStep

_GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(128, 10, generator=_GENERATOR)
CLASSES = X[:, :4].argmax(dim=1)


def step_of(loss: Any) -> Any:
    return WithTrainingStep(lambda model, batch: loss(model(batch[0]), batch[1]))


def linear() -> nn.Module:
    return nn.Linear(10, 4)


@pytest.mark.parametrize(("loss", "growth"), [
    (nn.CrossEntropyLoss(), 1), (nn.CrossEntropyLoss(reduction="sum"), 2),
    (lambda out, y: F.cross_entropy(out, y, reduction="none").sum(), 2),
    (lambda out, y: F.mse_loss(out, F.one_hot(y, 4).float(), reduction="none").sum(1).mean(), 1),
])
def test_a_sum_over_samples_doubles_with_the_batch(loss: Any, growth: int) -> None:
    observation = observe("reduction", target(linear, X, CLASSES, compute=step_of(loss)))

    assert observation.value("loss_growth") == pytest.approx(growth, abs=1e-5)


@pytest.mark.parametrize(("optimizer", "ignores"), [
    (torch.optim.SGD, False), (torch.optim.Adam, True), (torch.optim.AdamW, True),
    (torch.optim.RMSprop, True), (torch.optim.Adagrad, True),
])
def test_which_optimizers_follow_the_size_of_the_gradient(optimizer: Any, ignores: bool) -> None:
    observation = observe("reduction", target(
        linear, X, CLASSES, nn.CrossEntropyLoss(reduction="sum"), optimizer=optimizer))

    assert observation.value("ignores_loss_scale") is ignores


def scaled(factor: float) -> Any:
    def make_model() -> nn.Module:
        model = nn.Linear(10, 4)
        with torch.no_grad():
            model.weight.mul_(factor)
        return model

    return make_model


def test_scores_of_zero_have_the_loss_of_knowing_nothing() -> None:
    observation = observe("initial_loss", target(scaled(0.0), X, torch.arange(128) % 4))

    assert observation.value("initial_loss_ratio") == pytest.approx(1, abs=0.05)
    assert observation.value("uninformed_loss") == pytest.approx(math.log(4), rel=0.01)


def test_a_last_layer_that_is_too_large_starts_far_off() -> None:
    observation = observe("initial_loss", target(scaled(100.0), X, CLASSES))

    assert float(observation.value("smallest_initial_ratio") or 0) > 5


def test_rare_classes_are_not_held_against_equal_odds() -> None:
    rare = (torch.arange(128) % 32 == 0).long()

    observation = observe("initial_loss", target(scaled(1.0), X, rare, batch_size=64))

    assert float(observation.value("initial_loss_ratio") or 0) < 1.5


def test_numbers_are_compared_with_their_spread_about_the_mean() -> None:
    y = X[:, :1] + 20
    observation = observe("initial_loss", target(
        lambda: nn.Linear(10, 1), X, y, nn.MSELoss(), batch_size=64, shuffle=False))

    assert observation.value("uninformed_loss") == pytest.approx(
        float(y.var(unbiased=False)), rel=1e-3)
    assert observation.value("predicts_numbers") is True
    assert float(observation.value("initial_loss_ratio") or 0) > 100


def embedder() -> nn.Module:
    return nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 8))


def pull_together(model: nn.Module, batch: Any) -> Tensor:
    one, other = model(batch[0]), model(batch[0].flip(0))
    return F.pairwise_distance(one, other).square().mean()


def pull_together_inside(model: Any, batch: Any) -> Tensor:
    gap = model.encoder(batch[0]) - model.encoder(batch[0].flip(0))
    return torch.as_tensor(gap.square().mean())


class WithEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = embedder()

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.encoder(x))


def push_apart(model: nn.Module, batch: Any) -> Tensor:
    z = F.normalize(model(batch[0]), dim=1)
    return F.cross_entropy(10 * z @ z.T, torch.arange(len(z)))


@pytest.mark.parametrize(("step", "collapses"), [(pull_together, True), (push_apart, False)])
def test_embeddings_that_nothing_pushes_apart_collapse(step: Any, collapses: bool) -> None:
    observation = observe("embedding", target(
        embedder, X, CLASSES, compute=WithTrainingStep(step), lr=1e-2))
    found = {m.name: float(m.value) for m in observation.measurements}

    assert (found["embedding_shrinkage"] < 0.15) is collapses
    assert (found["embedding_spread"] < 0.25) is collapses


def test_an_encoder_that_the_step_calls_alone_is_watched() -> None:
    observation = observe("embedding", target(
        WithEncoder, X, CLASSES, compute=WithTrainingStep(pull_together_inside), lr=1e-2))

    assert float(observation.measurements[0].value) < 0.25


def test_a_classifier_has_no_embeddings_to_judge() -> None:
    assert observe("embedding", target(linear, X, CLASSES)).status == "not-applicable"


@pytest.mark.parametrize("source", ["the model", "noise", "noise of its own generator",
                                     "the model, a little"])
def test_targets_that_the_model_makes_itself_are_not_compared_with_a_constant(source: str) -> None:
    drawn = torch.Generator().manual_seed(0)

    class Values(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.online, self.target = nn.Linear(10, 1), nn.Linear(10, 1)
            self.target.requires_grad_(False)

        def forward(self, x: Tensor) -> Tensor:
            return self.online(x)  # type: ignore[no-any-return]

    def step(model: Any, batch: Any) -> Tensor:
        x = batch[0]
        ahead: dict[str, Callable[[], Tensor]] = {
            "the model": lambda: model.target(x.roll(1, 0)),
            "noise": lambda: torch.rand(len(x), 1),
            "noise of its own generator": lambda: torch.rand(len(x), 1, generator=drawn),
            "the model, a little": lambda: x[:, :1] + 0.02 * model.target(x),
        }
        with torch.no_grad():
            target = 10 + 0.01 * ahead[source]()
        return F.mse_loss(model(x), target)

    observation = observe("initial_loss", target(
        Values, X, CLASSES, compute=WithTrainingStep(step), batch_size=64, shuffle=False))

    own, ratio = observation.value("own_targets"), observation.value("initial_loss_ratio")
    assert own is (source == "the model")
    assert ratio is None if own else float(ratio or 0) > 30


@pytest.mark.parametrize(("scale", "off"), [(14.0, False), (1e6, True)])
def test_a_contrast_with_the_other_samples_starts_at_equal_odds(scale: float, off: bool) -> None:
    def step(model: nn.Module, batch: Any) -> Tensor:
        one, two = (F.normalize(model(part)) for part in (batch[0], batch[0].flip(1)))
        return F.cross_entropy(scale * one @ two.T, torch.arange(len(one)))

    found = observe("initial_loss", target(
        lambda: nn.Linear(10, 8), X, CLASSES, compute=WithTrainingStep(step)))

    assert found.value("compares_samples") is True
    assert found.value("uninformed_loss") == pytest.approx(math.log(32))
    assert (float(found.value("initial_loss_ratio") or 0) > 30) is off
    assert "target_mean" in found.absent
