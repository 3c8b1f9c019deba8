"""The probes `collapse` and `determinism`: what the output depends on."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from builders import observe, target
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from auditor.observation import Observation
from auditor.target import WithTrainingStep

_GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(128, 10, generator=_GENERATOR)
Y = X[:, :3].argmax(dim=1)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(10, 16)
        self.b = nn.Linear(16, 3)

    def before(self, x: Tensor) -> Tensor:
        return x

    def between(self, h: Tensor) -> Tensor:
        return h

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.b(self.between(F.relu(self.a(self.before(x)))))
        return out


class Blind(Net):
    def before(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


class Dropping(Net):
    def between(self, h: Tensor) -> Tensor:
        return F.dropout(h, 0.3)


class DroppingAnew(Net):
    def between(self, h: Tensor) -> Tensor:
        dropped: Tensor = nn.Dropout(0.3)(h)
        return dropped


class DroppingByMode(Net):
    def between(self, h: Tensor) -> Tensor:
        return F.dropout(h, 0.3, training=self.training)


class Sampling(Net):
    def between(self, h: Tensor) -> Tensor:
        return h + torch.randn_like(h)


class Counting(Net):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def between(self, h: Tensor) -> Tensor:
        self.calls += 1
        return h * self.calls


def only(observation: Observation, name: str) -> tuple[Any, str]:
    found = [m for m in observation.measurements if m.name == name]
    assert len(found) == 1, observation
    return found[0].value, found[0].subject


def test_an_output_that_does_not_see_the_input_does_not_vary() -> None:
    assert only(observe("collapse", target(Blind, X, Y)), "output_variation") == (0.0, "a")


def test_variation_is_the_spread_over_samples_by_the_size() -> None:
    observation = observe("collapse", target(Net, X, Y, shuffle=False))
    torch.manual_seed(0)
    out = Net()(X[:32]).detach()

    expected = out.var(dim=0, unbiased=False).mean().sqrt() / out.square().mean().sqrt()

    assert only(observation, "output_variation_at_start")[0] == pytest.approx(float(expected))
    assert observation.value("model_variation") == pytest.approx(float(expected))


def test_a_last_layer_of_zeros_opens_with_the_first_steps() -> None:
    def make_model() -> nn.Module:
        model = Net()
        nn.init.zeros_(model.b.weight)
        nn.init.zeros_(model.b.bias)
        return model

    observation = observe("collapse", target(make_model, X, Y))

    assert only(observation, "output_variation_at_start")[0] == 0
    assert only(observation, "output_variation")[0] > 0.1


class Normalised(nn.Module):
    """Thirty layers of which each shrinks its input, with slow running statistics behind it."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(30):
            linear = nn.Linear(10, 10)
            nn.init.normal_(linear.weight, std=0.05)
            layers += [linear, nn.BatchNorm1d(10, momentum=0.01), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(10, 3))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return out


def test_running_statistics_at_their_start_are_not_taken_for_a_blind_output() -> None:
    seen = observe("collapse", target(Normalised, X, Y))
    assert only(seen, "output_variation_at_start")[0] > 1e-2


class Faint(Normalised):
    """Its first steps move the bias of the output only, which then hides what the layers say."""

    def __init__(self) -> None:
        super().__init__()
        last = nn.Linear(10, 3)
        nn.init.normal_(last.weight, std=1e-7)
        nn.init.zeros_(last.bias)
        last.weight.register_hook(torch.zeros_like)  # type: ignore[no-untyped-call]
        self.layers[-1] = last


def test_an_output_that_varies_in_training_is_not_blind_where_its_bias_learns_first() -> None:
    seen = observe("collapse", target(Faint, X, Y))

    assert only(seen, "output_variation")[0] > 0.1


def test_a_blind_net_is_not_given_sight_by_normalisation() -> None:
    class BlindNormalised(Normalised):
        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.layers[-7:](torch.full_like(x, 0.3))
            return out

    seen = observe("collapse", target(BlindNormalised, X, Y))

    assert only(seen, "output_variation")[0] < 1e-4


def test_equal_inputs_say_nothing() -> None:
    observation = observe("collapse", target(Net, torch.ones(64, 10), Y[:64]))

    assert observation.status == "not-applicable"


@pytest.mark.parametrize("make_model", [Dropping, DroppingAnew])
def test_dropout_that_does_not_know_the_mode_is_found(make_model: Any) -> None:
    observation = observe("determinism", target(make_model, X, Y))

    assert only(observation, "random_difference")[0] > 0.1
    assert only(observation, "drops_out_in_eval")[0] is True
    assert observation.value("repeat_difference") == 0
    assert any(place.file.endswith("test_collapse.py") for place in observation.places.values())


def test_a_model_that_samples_is_told_from_dropout() -> None:
    observation = observe("determinism", target(Sampling, X, Y))

    assert only(observation, "random_difference")[0] > 0.1
    assert only(observation, "drops_out_in_eval")[0] is False


@pytest.mark.parametrize("make_model", [Net, DroppingByMode])
def test_a_model_that_keeps_to_the_mode_gives_the_same_twice(make_model: Any) -> None:
    observation = observe("determinism", target(make_model, X, Y))

    assert only(observation, "random_difference")[0] == 0


def test_a_model_with_a_memory_differs_without_new_random_numbers() -> None:
    observation = observe("determinism", target(Counting, X, Y))

    assert float(observation.value("repeat_difference") or 0) > 0.1


def test_noise_of_the_training_step_is_not_the_models() -> None:
    def step(model: nn.Module, batch: Any) -> Tensor:
        return F.cross_entropy(model(batch[0] + torch.randn_like(batch[0])), batch[1])

    observation = observe("determinism", target(Net, X, Y, compute=WithTrainingStep(step)))

    assert observation.status == "not-applicable"
