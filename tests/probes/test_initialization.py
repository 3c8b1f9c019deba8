"""What the probe `initialization` measures, against theory and by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from builders import observe, target
from torch import Tensor, nn

from auditor.observation import Observation
from auditor.target import Target

Init = Callable[[Tensor], object]


def _linear(model: nn.Sequential, index: int) -> nn.Linear:
    layer = model[index]
    assert isinstance(layer, nn.Linear)
    return layer


def _data(features: int = 64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(256, features, generator=generator)
    return x, (x[:, :4].argmax(dim=1))


def _mlp(
    depth: int, init: Init, activation: type[nn.Module] = nn.ReLU, width: int = 64,
) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        layers: list[nn.Module] = []
        for _ in range(depth):
            linear = nn.Linear(width, width)
            init(linear.weight)
            nn.init.zeros_(linear.bias)
            layers += [linear, activation()]
        return nn.Sequential(*layers, nn.Linear(width, 4))

    return make


def _observe(make: Callable[[], nn.Module]) -> Observation:
    audited = target(make, *_data(), batch_size=128)
    observation: Observation = observe("initialization", audited)
    return observation


def _number(observation: Observation, name: str, subject: str) -> float:
    value = observation.value(name, subject)
    assert isinstance(value, (int, float)), f"{name} of {subject} was not measured"
    return float(value)


def _normal(std: float) -> Init:
    return lambda weight: nn.init.normal_(weight, std=std)


@pytest.mark.parametrize("std", [0.01, 0.05])
def test_the_signal_shrinks_as_theory_says(std: float) -> None:
    observation = _observe(_mlp(6, _normal(std), nn.Tanh))

    # Small tanh inputs pass unchanged: each layer multiplies by std * sqrt(64).
    expected = 6 * math.log10(std * 8)
    assert _number(observation, "signal_decades", "0") == pytest.approx(expected, abs=0.25)
    assert _number(observation, "weight_decades", "0") == pytest.approx(expected, abs=0.05)
    assert _number(observation, "hidden_layers", "0") == 6


def test_he_initialisation_is_on_the_fitting_scale() -> None:
    observation = _observe(_mlp(6, lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu")))

    assert abs(_number(observation, "weight_decades", "0")) < 0.1
    assert abs(_number(observation, "signal_decades", "0")) < 0.5
    assert _number(observation, "forward_over_theory", "0") == pytest.approx(1.0, abs=0.1)


def test_a_normalisation_ends_the_stretch() -> None:
    def make() -> nn.Module:
        return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.LayerNorm(64),
                             nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))

    observation = _observe(make)

    assert _number(observation, "hidden_layers", "0") == 2
    assert _number(observation, "hidden_layers", "5") == 1
    assert observation.value("scale_counts", "2") is False


def test_a_linear_branch_beside_a_deep_one_has_no_hidden_layer() -> None:
    class WideAndDeep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wide = nn.Linear(64, 4)
            self.deep = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 4))
            nn.init.normal_(self.wide.weight, std=1e-4)

        def forward(self, x: Tensor) -> Tensor:
            return torch.as_tensor(self.wide(x) + self.deep(x))

    found = _observe(WideAndDeep)

    assert found.value("signal_decades", "wide") is None
    assert _number(found, "hidden_layers", "deep.0") >= 1


def test_a_small_residual_branch_loses_no_signal() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inp, self.out = nn.Linear(64, 64), nn.Linear(64, 4)
            self.branch = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64))
            for layer in (self.branch[0], self.branch[2]):
                nn.init.normal_(layer.weight, std=1e-4)  # type: ignore[arg-type]

        def forward(self, x: Tensor) -> Tensor:
            x = torch.relu(self.inp(x))
            return torch.as_tensor(self.out(torch.relu(x + self.branch(x))))

    assert _observe(Residual).value("signal_decades", "branch.0") is None


def test_a_signal_that_is_lost_before_a_skip_connection_begins_is_lost_all_the_same() -> None:
    class Skipped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
            self.middle, self.out = nn.Linear(64, 64), nn.Linear(128, 4)
            for layer in (self.down[0], self.down[2], self.middle):
                nn.init.normal_(layer.weight, std=1e-3)  # type: ignore[arg-type]
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

        def forward(self, x: Tensor) -> Tensor:
            skip = self.down(x)
            deep = torch.relu(self.middle(skip))
            return torch.as_tensor(self.out(torch.cat([deep, skip], 1)))

    observation = _observe(Skipped)

    assert _number(observation, "signal_decades", "down.0") < -3.5
    assert _number(observation, "hidden_layers", "down.0") == 2
    assert observation.value("signal_decades", "middle") is None


@pytest.mark.parametrize("summed", [True, False])
def test_a_stretch_that_ends_in_a_sum_with_other_layers_is_told(summed: bool) -> None:
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.deep = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64))
            self.wide, self.out = nn.Linear(64, 64), nn.Linear(64 if summed else 128, 4)

        def forward(self, x: Tensor) -> Tensor:
            sides = [self.deep(x), self.wide(x)]
            return torch.as_tensor(self.out(sides[0] + sides[1] if summed else torch.cat(sides, 1)))

    assert _observe(Branches).value("beside_others", "deep.0") is summed


def test_small_scores_before_a_softmax_are_no_lost_signal() -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scores, self.mix = nn.Linear(64, 64), nn.Linear(64, 64)
            for layer in (self.scores, self.mix):
                nn.init.normal_(layer.weight, std=1e-3)
            self.head = nn.Linear(64, 4)

        def forward(self, x: Tensor) -> Tensor:
            weights = self.mix(self.scores(x).softmax(dim=1))
            return self.head(x + weights)  # type: ignore[no-any-return]

    observation = _observe(Mixed)

    assert not any(m.subject in ("scores", "mix") for m in observation.measurements
                   if m.name == "signal_decades")


def test_constant_units_move_in_lockstep() -> None:
    observation = _observe(_mlp(2, lambda w: nn.init.constant_(w, 0.05)))

    assert _number(observation, "unit_spread", "0") == pytest.approx(0.0, abs=1e-6)
    assert _number(observation, "unit_separation", "0") < 0.01
    assert observation.value("hidden_copies", "0") is True


def test_a_zero_initialised_last_layer_is_parted_by_the_first_steps() -> None:
    def make() -> nn.Module:
        model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))
        nn.init.zeros_(_linear(model, 2).weight)
        nn.init.zeros_(_linear(model, 2).bias)
        return model

    observation = _observe(make)

    assert _number(observation, "unit_spread", "2") == 0.0
    assert _number(observation, "unit_separation", "2") > 0.5
    assert observation.value("hidden_copies", "2") is False
    assert observation.value("weight_scale_decades", "2") is None


def test_dropout_does_not_part_copies() -> None:
    def make() -> nn.Module:
        model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 4))
        for index in (0, 3):
            nn.init.constant_(_linear(model, index).weight, 0.1)
            nn.init.zeros_(_linear(model, index).bias)
        return model

    assert _number(_observe(make), "unit_separation", "0") < 0.01


def test_a_layer_out_of_line_is_measured_against_the_others() -> None:
    def make() -> nn.Module:
        model = _mlp(3, lambda w: nn.init.kaiming_normal_(w))()
        assert isinstance(model, nn.Sequential)
        nn.init.normal_(_linear(model, 6).weight, 100.0, 10.0)
        return model

    observation = _observe(make)

    assert _number(observation, "scale_gap_decades", "6") == pytest.approx(2.9, abs=0.2)
    assert _number(observation, "weight_mean", "6") == pytest.approx(100, abs=3)
    assert observation.value("feeds_layer", "6") is False


def test_biases_are_measured_against_signal_and_weights() -> None:
    def make() -> nn.Module:
        model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))
        nn.init.constant_(_linear(model, 0).bias, -10.0)
        return model

    observation = _observe(make)

    assert _number(observation, "bias_rms", "0") == pytest.approx(10)
    # Default weights make a spread of 1 / sqrt(3) of inputs of unit variance.
    assert _number(observation, "bias_to_signal", "0") == pytest.approx(17.3, rel=0.1)
    assert observation.value("bias_to_signal", "2") is None, "the output's bias is its own affair"


def test_biases_before_a_residual_sum_are_measured() -> None:
    class Summed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inp, self.out = nn.Linear(64, 64), nn.Linear(64, 4)
            nn.init.constant_(self.inp.bias, -10.0)

        def forward(self, x: Tensor) -> Tensor:
            h = torch.relu(self.inp(x))
            return torch.as_tensor(self.out(h + h.flip(1)))

    assert _number(_observe(Summed), "bias_to_signal", "inp") == pytest.approx(17.3, rel=0.1)


def test_biases_are_measured_against_the_default_draw() -> None:
    def make() -> nn.Module:
        model = _mlp(1, _normal(0.01))()
        _linear(model, 0).reset_parameters()  # type: ignore[arg-type]
        return model

    assert _number(_observe(make), "bias_to_default", "0") == pytest.approx(1, abs=0.2)


def test_a_weight_shared_with_an_embedding_does_not_count() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(4, 16)
            self.body = nn.Linear(64, 16)
            self.head = nn.Linear(16, 4, bias=False)
            self.head.weight = self.embed.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.tanh(self.body(x)))  # type: ignore[no-any-return]

    assert _observe(Tied).value("scale_counts", "head") is False


@pytest.mark.parametrize("at_fault", ["head.weight", "lstm.weight_hh_l0", ""])
def test_the_matrices_of_a_recurrence_are_compared_like_layers(at_fault: str) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(8, 32, batch_first=True)
            self.head = nn.Linear(32, 4)
            if at_fault:
                nn.init.normal_(self.get_parameter(at_fault), 0.0, 20.0)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.lstm(x.reshape(-1, 8, 8))[0][:, -1])  # type: ignore[no-any-return]

    observation = _observe(Net)
    gaps = {m.subject: float(m.value) for m in observation.measurements
            if m.name == "scale_gap_decades" and float(m.value) > 1}

    assert list(gaps) == ([at_fault.removesuffix(".weight")] if at_fault else [])


def test_pretrained_weights_are_not_judged() -> None:
    audited = target(_mlp(2, _normal(0.1)), *_data(), traits=frozenset({"from_pretrained"}))

    observation = observe("initialization", audited)

    assert observation.status == "not-applicable"


def _same(audited: Target) -> str:
    observation = observe("initialization", audited)
    return "\n".join(sorted(f"{m.name} {m.subject} {m.value}" for m in observation.measurements))


def test_two_runs_measure_the_same() -> None:
    audited = target(_mlp(2, _normal(0.1)), *_data())

    assert _same(audited) == _same(audited)


def test_the_global_generator_is_left_as_it_was() -> None:
    state = torch.get_rng_state()

    _observe(_mlp(2, _normal(0.1)))

    assert torch.equal(state, torch.get_rng_state())
