"""Normalisation, dropout and decay as the probes see them."""

from __future__ import annotations

import copy
import math
from contextlib import nullcontext
from importlib import import_module
from typing import Any

import pytest
import torch
from builders import observe, part_of_probes, target
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn import functional as F  # noqa: N812 - the field's name for it
from torch.utils.data import DataLoader, TensorDataset

from auditor.observation import Observation
from auditor.probe import Notebook, OutOfTime, ProbeContext
from auditor.store import BatchStore
from auditor.target import WithTrainingStep

X = 5 + 3 * torch.randn(640, 12, generator=torch.Generator().manual_seed(0))
Y = (X[:, :3].argmax(dim=1))

Statistics = part_of_probes("_norms").Statistics
staleness = part_of_probes("_norms").staleness
whole_run = part_of_probes("_whole").whole_run


def net(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(12, 32), *layers, nn.Linear(32, 3))


def number(observation: Observation, name: str, subject: str = "") -> float:
    value = observation.value(name, subject)
    assert isinstance(value, (int, float)), f"{name}: {observation.absent} {observation.missed}"
    return float(value)


def test_a_bias_right_before_batch_norm_is_cancelled_and_others_are_not() -> None:
    found = observe("regularization", target(
        lambda: net(nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(inplace=True),
                    nn.BatchNorm1d(32)), X, Y))

    assert found.value("bias_cancelled", "0") is True
    assert found.value("bias_cancelled", "3") is False


@pytest.mark.parametrize(("layers", "before"), [
    ((nn.ReLU(), nn.Dropout(0.2), nn.BatchNorm1d(32)), True),
    ((nn.ReLU(), nn.BatchNorm1d(32), nn.Dropout(0.2)), False),
])
def test_dropout_right_before_batch_norm_is_seen(layers: Any, before: bool) -> None:
    found = observe("regularization", target(lambda: net(*layers), X, Y))
    norm = "3" if before else "2"

    assert found.value("dropout_before_norm", norm) is before


def test_functional_dropout_is_read_with_its_probability() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(12, 3)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.fc(F.dropout(x, 0.85, self.training))
            return out

    found = observe("regularization", target(Net, X, Y))

    assert [m.value for m in found.measurements if m.name == "dropout_p"] == [0.85]


def test_values_per_channel_are_counted_for_full_and_last_batches() -> None:
    found = observe("regularization", target(
        lambda: net(nn.BatchNorm1d(32)), X[:65], Y[:65], batch_size=16))

    assert number(found, "batchnorm_values", "1") == 16
    assert number(found, "batchnorm_last_values", "1") == 1


def test_dropping_the_last_batch_leaves_full_ones() -> None:
    loader = DataLoader(TensorDataset(X[:65], Y[:65]), batch_size=16, drop_last=True)
    found = observe("regularization", target(
        lambda: net(nn.BatchNorm1d(32)), X, Y, make_train_loader=lambda: loader))

    assert number(found, "batchnorm_last_values", "1") == 16


@pytest.mark.parametrize(("momentum", "stale"), [(0.1, False), (0.0, True), (1e-4, True)])
def test_statistics_are_stale_when_the_momentum_is_too_small(
    momentum: float, stale: bool,
) -> None:
    found = observe("regularization", target(
        lambda: net(nn.BatchNorm1d(32, momentum=momentum)), X, Y))

    assert (number(found, "statistics_staleness", "1") > 0.5) is stale
    assert (number(found, "statistics_horizon", "1") > 10) is stale


def test_staleness_is_the_larger_of_moved_means_and_other_variances() -> None:
    true = Statistics(torch.zeros(2), torch.full((2,), 4.0))

    assert staleness(Statistics(torch.tensor([2.0, 2.0]), true.variance), true) \
        == pytest.approx(1.0)
    assert staleness(Statistics(true.mean, torch.full((2,), 4.0 * 2.718281828**2)), true) \
        == pytest.approx(2.0)


def test_the_look_leaves_running_statistics_of_the_users_model_alone() -> None:
    model = net(nn.BatchNorm1d(32))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    observe("regularization", target(lambda: copy.deepcopy(model), X, Y, reinitialises=False))

    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_decay_on_biases_is_told_from_decay_on_weights() -> None:
    found = observe("regularization", target(
        net, X, Y, make_optimizer=lambda m: torch.optim.AdamW(m.parameters(), 1e-3,
                                                              weight_decay=0.3)))

    assert number(found, "decay_on_small", "0.bias") == 0.3
    assert number(found, "decay_on_small", "0.weight") == 0.0


def test_a_decay_that_nobody_set_counts_as_none() -> None:
    found = observe("regularization", target(
        net, X, Y, make_optimizer=lambda m: torch.optim.AdamW(m.parameters(), 1e-3)))

    assert number(found, "decay_on_small", "0.bias") == 0.0


def off(audited: Any) -> Observation:
    return observe("regularization_off", audited, earlier=[observe("regularization", audited)])


def test_strong_dropout_costs_and_mild_dropout_is_not_tried() -> None:
    x = (X - 5) / 3
    strong, mild = (
        off(target(lambda p=p: net(nn.ReLU(), nn.Dropout(p)), x, Y, lr=1e-2))  # type: ignore[misc]
        for p in (0.95, 0.3))

    assert number(strong, "dropout_cost") > 0.1
    assert "dropout_cost" in mild.absent


@pytest.mark.parametrize(("dropouts", "noise", "tried"), [
    ((0.5, 0.5, 0.5), 3.0, True), ((0.5, 0.5), 2.0, False), ((0.2,) * 20, 0.0, False),
])
def test_several_dropouts_add_up(
    dropouts: tuple[float, ...], noise: float, tried: bool,
) -> None:
    audited = target(lambda: net(*(nn.Dropout(p) for p in dropouts)), (X - 5) / 3, Y)

    assert number(observe("regularization", audited), "dropout_noise") == pytest.approx(noise)
    assert ("dropout_cost" not in off(audited).absent) is tried


@pytest.mark.parametrize(("decay", "costs"), [(100.0, True), (0.01, False)])
def test_decay_costs_when_it_outweighs_the_gradient(decay: float, costs: bool) -> None:
    x = (X - 5) / 3
    found = off(target(net, x, Y, make_optimizer=lambda m: torch.optim.AdamW(
        m.parameters(), 1e-2, weight_decay=decay)))

    assert (number(found, "decay_cost") > 0.15) is costs


@pytest.mark.parametrize(("with_it", "without", "cost"), [
    (1.0, 0.4, 0.6), (5.0, 0.4, 1.0), (math.inf, 0.4, 1.0),
    (3.0, 2.0, 0.0), (3.0, 1.0, 0.0), (3.0, math.nan, 0.0),
])
def test_where_nothing_is_learned_either_way_no_regulariser_is_told(
    with_it: float, without: float, cost: float,
) -> None:
    module = part_of_probes("regularization_off")

    assert module._cost(with_it, without, start=1.0) == pytest.approx(cost)


@pytest.mark.parametrize(("decay", "is_told"), [(100.0, True), (1.0, False)])
def test_one_pair_of_runs_tells_of_a_decay_that_costs_much(
    monkeypatch: pytest.MonkeyPatch, decay: float, is_told: bool,
) -> None:
    module = import_module("auditor.probes.regularization_off")
    runs = iter(range(9))

    def hurried(context: Any, bench: Any, steps: int) -> Any:
        if next(runs) >= 2:
            raise OutOfTime("a run was cut short")
        return whole_run(context, bench, steps)

    monkeypatch.setattr(module, "whole_run", hurried)
    audited = target(net, (X - 5) / 3, Y, make_optimizer=lambda m: torch.optim.AdamW(
        m.parameters(), 1e-2, weight_decay=decay))
    note = Notebook("regularization_off", module.RegularizationOff.yields)
    context = ProbeContext(target=audited, batches=BatchStore(audited), note=note)
    with nullcontext() if is_told else pytest.raises(OutOfTime):
        module.RegularizationOff().run(context)
    found = [m for m in note.observation().measurements if m.name == "decay_cost"]

    assert [m.samples for m in found] == ([1] if is_told else [])
    assert all(isinstance(m.value, float) and m.value > 0.3 for m in found)


def test_a_second_term_of_the_data_is_no_penalty() -> None:
    def step(model: nn.Module, batch: Any) -> Tensor:
        logits = model(batch[0])
        hit = logits.softmax(dim=1).gather(1, batch[1][:, None]).mean()
        return torch.as_tensor(F.cross_entropy(logits, batch[1]) + 5 * (1 - hit))

    assert number(off(target(net, (X - 5) / 3, Y, compute=WithTrainingStep(step))),
                  "penalty_share") == 0


def test_a_loss_that_takes_gradients_of_the_output_has_no_penalty_that_can_be_told() -> None:
    def step(model: nn.Module, batch: Any) -> Tensor:
        with torch.enable_grad():
            x = batch[0].clone().requires_grad_()
            slope, = torch.autograd.grad(model(x).sum(), x, create_graph=True)
        return F.cross_entropy(model(batch[0]), batch[1]) + slope.square().mean()  # type: ignore[no-any-return]

    found = off(target(net, (X - 5) / 3, Y, compute=WithTrainingStep(step)))

    assert found.status == "measured"
    assert number(found, "penalty_share") == 0


def test_a_penalty_in_the_loss_is_seen_beside_the_data() -> None:
    def step(model: nn.Module, batch: Any) -> Tensor:
        penalty = sum((p.abs().sum() for p in model.parameters()), torch.zeros(()))
        return F.cross_entropy(model(batch[0]), batch[1]) + 1.0 * penalty

    found = off(target(net, (X - 5) / 3, Y, compute=WithTrainingStep(step)))

    assert number(found, "penalty_share") > 0.5
    assert number(found, "penalised_level") > 0.7


class Parts(nn.Module):
    """A critic and a policy, which the step calls one by one, and a learned weight of the terms."""

    def __init__(self, *, as_object: bool) -> None:
        super().__init__()
        self.critic, self.policy = nn.Linear(X.shape[1], 1), nn.Linear(X.shape[1], 1)
        self.log_weight = nn.Parameter(torch.zeros(()))
        self.as_object = as_object

    def forward(self, x: Tensor) -> Any:
        mean = self.policy(x)
        return Normal(mean, torch.ones(())) if self.as_object else mean

    def terms(self, x: Tensor, y: Tensor) -> Tensor:
        said = self(x)
        mean = said.mean if self.as_object else said
        wanted = y[:, None].float()
        far: Tensor = 20 * (mean - wanted).square().mean() * self.log_weight.exp()
        return far + F.mse_loss(self.critic(x), wanted)


@pytest.mark.parametrize("as_object", [False, True])
@pytest.mark.parametrize("penalty", [0.0, 1e3])
def test_terms_of_other_parts_of_a_model_are_no_penalty(as_object: bool, penalty: float) -> None:
    def step(model: Any, batch: Any) -> Tensor:
        weights: Tensor = model.critic.weight.square().mean()
        terms: Tensor = model.terms(*batch)
        return terms + penalty * weights if penalty else terms

    found = off(target(lambda: Parts(as_object=as_object), (X - 5) / 3, Y,
                       compute=WithTrainingStep(step)))

    # What an object holds cannot be followed, so that nothing is said of its model.
    assert (number(found, "penalty_share") > 0) == (penalty > 0 and not as_object)
