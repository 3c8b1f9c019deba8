"""What the probe `layers` measures on small models whose faults are known."""

from __future__ import annotations

import gc
import math
import weakref
from functools import partial

import pytest
import torch
from builders import observe, target
from layer_cases import linear, mlp, number, observed, samples
from torch import Tensor, nn
from torch.nn.modules import module as hooks


def test_units_pushed_below_zero_are_dead_before_and_after() -> None:
    def make() -> nn.Module:
        model = mlp(2)
        with torch.no_grad():
            linear(model, 0).bias[:24] = -50.0
        return model

    observation = observed(make)

    assert number(observation, "dead_share_at_start", "1") == pytest.approx(0.75)
    assert number(observation, "dead_share", "1") == pytest.approx(0.75, abs=0.05)
    assert number(observation, "dead_samples", "1") >= 688
    assert number(observation, "rectifier_units", "1") == 32


def test_units_of_a_default_net_are_alive() -> None:
    assert number(observed(lambda: mlp(2)), "dead_share", "1") < 0.1


def test_large_weights_saturate_a_tanh() -> None:
    def make() -> nn.Module:
        model = mlp(2, nn.Tanh)
        nn.init.normal_(linear(model, 0).weight, std=2.0)
        return model

    observation = observed(make)

    assert number(observation, "flat_share", "1") > 0.7
    assert number(observation, "mean_slope", "1") < 0.2
    assert number(observation, "flat_share", "3") < 0.3


def test_a_hidden_softmax_is_flat_and_weights_of_an_attention_are_not_judged() -> None:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.keys, self.values = nn.Linear(32, 128), nn.Linear(32, 128)
            self.out = nn.Linear(1, 4)

        def forward(self, x: Tensor) -> Tensor:
            weights = torch.softmax(self.keys(x), dim=1)
            out: Tensor = self.out((weights * self.values(x)).sum(1, keepdim=True))
            return out

    hidden = observed(lambda: nn.Sequential(
        nn.Linear(32, 128), nn.Softmax(dim=1), nn.Linear(128, 4)))

    assert number(hidden, "flat_share", "1") > 0.8
    assert number(hidden, "mean_slope", "1") < 0.1
    assert hidden.value("always_positive", "1") is None
    assert observed(Attention).value("flat_share", ":softmax") is None


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_a_normalisation_undoes_an_even_softmax_and_not_a_sharp_one(scale: float) -> None:
    def make() -> nn.Module:
        first = nn.Linear(32, 128)
        nn.init.normal_(first.weight, std=scale / 32**0.5)
        return nn.Sequential(first, nn.Softmax(dim=1), nn.Linear(128, 4), nn.BatchNorm1d(4))

    flat = observed(make).value("flat_share", "1")

    assert flat is None if scale == 1 else float(flat or 0) > 0.8


def test_output_probabilities_are_not_judged() -> None:
    class Loss:
        def __call__(self, output: Tensor, y: Tensor) -> Tensor:
            return nn.functional.mse_loss(output, nn.functional.one_hot(y, 4).float())

    observation = observed(lambda: nn.Sequential(mlp(1), nn.Sigmoid()), loss=Loss())

    assert observation.value("flat_share", "1") is None
    assert observation.value("always_positive", "1") is None


def test_sigmoid_layers_lose_the_gradient_by_depth() -> None:
    observation = observed(lambda: mlp(6, nn.Sigmoid))

    # Each sigmoid layer passes a quarter, and default weights 1 / sqrt(3) of it.
    assert number(observation, "gradient_decades", "0") < -3.5
    assert number(observation, "gradient_decades_elsewhere", "0") < -2.5
    assert number(observation, "update_lag_decades", "0") < -2
    assert number(observation, "layers_below", "0") == 6
    assert observation.value("always_positive", "1") is True


def test_what_a_single_layer_takes_of_the_gradient_is_no_matter_of_depth() -> None:
    class Faint(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x / 1e4).sigmoid()

    observation = observed(lambda: nn.Sequential(
        nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 32), Faint(), nn.Linear(32, 4)))

    assert number(observation, "gradient_decades", "0") < -3.5
    assert number(observation, "gradient_decades_elsewhere", "0") > -1


@pytest.mark.parametrize(("gain", "low", "high"), [(0.5, -math.inf, -5.0), (1.0, -3.0, 1.0)])
def test_the_gain_of_a_recurrence_rules_the_gradient_in_time(
    gain: float, low: float, high: float,
) -> None:
    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.RNN(4, 32, batch_first=True)
            weight = self.rnn.weight_hh_l0
            assert isinstance(weight, Tensor)
            nn.init.orthogonal_(weight, gain)
            self.head = nn.Linear(32, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.rnn(x)[0][:, -1])  # type: ignore[no-any-return]

    x = torch.randn(256, 30, 4, generator=torch.Generator().manual_seed(0))
    observation = observed(Reader, data=(0.3 * x, x[:, -1].argmax(dim=1)))

    assert low <= number(observation, "gradient_decades", "rnn") <= high
    assert observation.value("through_time", "rnn") is True


def test_an_activation_of_a_weight_is_not_asked_to_tell_samples_apart() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.zeros(32))
            self.inner, self.head = nn.Linear(32, 32), nn.Linear(32, 4)

        def forward(self, x: Tensor) -> Tensor:
            size = nn.functional.softplus(self.scale.expand(len(x), -1))
            return self.head(torch.tanh(self.inner(x) * size))  # type: ignore[no-any-return]

    observation = observed(Scaled)

    judged = {m.subject for m in observation.measurements if m.name == "sample_variation"}
    assert len(judged) == 1 and "tanh" in judged.pop()


def test_a_branch_that_is_fed_one_token_has_no_samples_to_lose() -> None:
    class Token(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token = nn.Parameter(torch.randn(1, 32))
            self.norm, self.inner = nn.LayerNorm(32), nn.Linear(32, 32)
            self.outer, self.head = nn.Linear(32, 32), nn.Linear(32, 4)

        def forward(self, x: Tensor) -> Tensor:
            h = self.token + 1e-5 * x
            h = h + self.outer(torch.tanh(self.inner(self.norm(h))))
            return self.head(torch.relu(self.outer(h)))  # type: ignore[no-any-return]

    observation = observed(Token)

    judged = {m.subject for m in observation.measurements if m.name == "sample_variation"}
    assert not any(subject and "tanh" in subject for subject in judged)


def test_a_hidden_softmax_is_asked_to_tell_samples_apart() -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.head = nn.Linear(32, 32), nn.Linear(32, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.head((self.inner(x) / 200).softmax(dim=1))  # type: ignore[no-any-return]

    observation = observed(Flat)

    (flat,) = (m.value for m in observation.measurements if m.name == "sample_variation")
    assert isinstance(flat, float) and flat < 0.005


def test_a_rate_far_too_high_makes_gradients_spike_and_the_loss_rise() -> None:
    observation = observed(lambda: mlp(3), lr=1e3)

    assert number(observation, "loss_peak_ratio") > 5
    assert number(observation, "gradient_spike_decades", "0") > 2


@pytest.mark.parametrize(("upward", "low", "high"), [(False, -1.0, -0.2), (True, 0.2, 1.0)])
def test_the_first_update_tells_the_direction(upward: bool, low: float, high: float) -> None:
    seen = observed(lambda: mlp(2), lr=1e-3, optimizer=partial(torch.optim.Adam, maximize=upward))

    assert low <= number(seen, "first_update_cosine") <= high


def test_a_healthy_loss_falls_and_updates_are_small() -> None:
    observation = observed(lambda: mlp(2), lr=1e-3, optimizer=torch.optim.Adam)

    assert number(observation, "loss_fall_sigmas") > 5
    assert 1e-4 < number(observation, "update_ratio", "0.weight") < 0.1
    assert observation.value("update_ratio", "0.bias") is None


def test_nothing_is_left_behind() -> None:
    state, before = torch.get_rng_state(), len(hooks._global_forward_hooks)

    observed(lambda: mlp(2), lr=1e3)

    assert torch.equal(state, torch.get_rng_state())
    assert len(hooks._global_forward_hooks) == before


def test_gradients_and_updates_are_told_by_step_for_the_first_and_the_last_layer() -> None:
    observation = observed(lambda: mlp(9))

    for name in ("gradient_rms_by_step", "update_ratio_by_step"):
        labels = [one.label for one in observation.series if one.name == name]
        assert (labels[0], labels[-1]) == ("0", "18")
        assert len(labels) == 6


@pytest.mark.parametrize("probe", ["layers", "initialization"])
def test_no_model_waits_for_the_collector_of_cycles(probe: str) -> None:
    made: list[weakref.ref[Tensor]] = []

    def make() -> nn.Module:
        model = mlp(3)
        made.extend(weakref.ref(parameter) for parameter in model.parameters())
        return model

    observe("layers", target(make, *samples()))  # what is imported here may leave cycles
    made.clear()
    gc.collect()
    gc.disable()
    try:
        observe(probe, target(make, *samples()))
        alive = [weight for weight in made if weight() is not None]
    finally:
        gc.enable()

    assert made and not alive


@pytest.mark.parametrize(("bias", "dead"), [(-20.0, True), (0.0, False)])
def test_behind_a_lost_signal_all_dead_units_are_told_and_half_of_them_are_not(
    bias: float, dead: bool
) -> None:
    class Lost(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.gate, self.head = nn.Linear(8, 32), nn.Linear(32, 32), nn.Linear(32, 3)
            nn.init.constant_(self.gate.bias, bias)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.head(torch.relu(self.gate(self.body(x) * 0 + 1)))
            return out

    drawn = torch.Generator().manual_seed(0)
    seen = observe("layers", target(Lost, torch.randn(400, 8, generator=drawn),
                                    torch.randint(3, (400,), generator=drawn)))
    shares = [m.value for m in seen.measurements if m.name == "dead_share"]

    assert shares == ([1.0] if dead else [])
