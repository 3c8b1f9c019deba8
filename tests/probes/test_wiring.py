"""The probe `wiring`: gradients, the optimizer's groups, structure and modes."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from builders import observe, target
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it
from wiring_cases import Encoder, Net, Pooled, X, Y, cut, values

from auditor.target import WithTrainingStep


class Detached(Net):
    def between(self, h: Tensor) -> Tensor:
        return h.detach()


class ThroughData(Net):
    def between(self, h: Tensor) -> Tensor:
        return h.data


class ThroughNumpy(Net):
    def between(self, h: Tensor) -> Tensor:
        return torch.from_numpy(h.detach().numpy())


class Rounded(Net):
    def between(self, h: Tensor) -> Tensor:
        return h.round()


class StraightThrough(Net):
    def between(self, h: Tensor) -> Tensor:
        return h + (h.round() - h).detach()


class WithoutGrad(Net):
    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            h = self.features(x)
        out: Tensor = self.c(h)
        return out


BODY = {"a.weight", "a.bias", "b.weight", "b.bias"}


@pytest.mark.parametrize(("make_model", "by"), [
    (Detached, "detach()"), (ThroughData, ".data"), (ThroughNumpy, "detach()"),
    (Rounded, "round()"), (WithoutGrad, "torch.no_grad()"),
])
def test_a_cut_is_named_and_everything_behind_it_is_found(make_model: Any, by: str) -> None:
    assert cut(make_model) == (BODY, {by})


def test_the_place_of_a_cut_is_the_users_line() -> None:
    place = observe("wiring", target(Detached, X, Y)).places["a.weight"]

    assert place.file.endswith("test_wiring.py")
    assert "h.detach()" in place.code


@pytest.mark.parametrize("make_model", [Net, Encoder, Pooled, StraightThrough])
def test_heads_that_nobody_reads_and_estimators_are_no_cuts(make_model: Any) -> None:
    def step(model: nn.Module, batch: Any) -> Tensor:
        out = model(batch[0])
        return F.cross_entropy(out[0] if isinstance(out, tuple) else out, batch[1])

    assert cut(make_model, compute=WithTrainingStep(step)) == (set(), set())


class TwoHeads(Net):
    def __init__(self) -> None:
        super().__init__()
        self.size = nn.Linear(32, 1)

    def forward(self, x: Tensor) -> Any:
        h = self.features(x)
        return self.c(h), self.size(h).squeeze(1)


@pytest.mark.parametrize(("reads", "lost"), [
    (lambda size, wanted: F.mse_loss(wanted, wanted), {"size.weight", "size.bias"}),
    (lambda size, wanted: F.mse_loss(size, wanted), set()),
    (lambda size, wanted: 0.0, set()),
])
def test_a_loss_that_looks_past_a_head_cuts_it_off(reads: Any, lost: set[str]) -> None:
    def step(model: nn.Module, batch: Any) -> Tensor:
        scores, size = model(batch[0])
        loss: Tensor = F.cross_entropy(scores, batch[1]) + reads(size, batch[0].norm(dim=1))
        return loss

    assert cut(TwoHeads, compute=WithTrainingStep(step))[0] == lost


def test_a_loss_that_became_a_leaf_cuts_off_everything() -> None:
    def step(model: nn.Module, batch: Any) -> Tensor:
        loss = F.cross_entropy(model(batch[0]), batch[1])
        return torch.tensor(loss.item(), requires_grad=True)

    lost, by = cut(Net, compute=WithTrainingStep(step))

    assert lost == {name for name, _ in Net().named_parameters()}
    assert by == {"item()"}


def test_a_branch_of_zeros_is_no_cut() -> None:
    def make_model() -> nn.Module:
        model = Net()
        nn.init.zeros_(model.c.weight)
        return model

    assert cut(make_model) == (set(), set())


def test_a_bias_that_a_derivative_does_not_depend_on_is_not_cut() -> None:
    def step(model: nn.Module, batch: Any) -> Tensor:
        x = batch[0].requires_grad_()
        (force,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
        penalty: Tensor = force.square().mean()
        return penalty

    lost, _ = cut(lambda: nn.Sequential(nn.Linear(20, 8), nn.Tanh(), nn.Linear(8, 1)),
                  compute=WithTrainingStep(step))

    assert lost == set()


def test_frozen_parameters_are_not_judged() -> None:
    def make_model() -> nn.Module:
        model = WithoutGrad()
        model.a.requires_grad_(False)
        model.b.requires_grad_(False)
        return model

    counted = values(observe("wiring", target(make_model, X, Y)), "cut_batches")

    assert set(counted) == {"c.weight", "c.bias"}


def test_a_moving_average_trains_without_gradients() -> None:
    def step(model: nn.Module, batch: Any) -> Tensor:
        body, head = model[0], model[1]  # type: ignore[index]
        with torch.no_grad():
            teacher = body[1](batch[0])
            body[1].weight.lerp_(body[0].weight, 0.1)
            body[1].bias.lerp_(body[0].bias, 0.1)
        loss: Tensor = F.cross_entropy(head(body[0](batch[0])), batch[1])
        return loss + F.mse_loss(body[0](batch[0]), teacher)

    lost, _ = cut(
        lambda: nn.Sequential(nn.ModuleList([nn.Linear(20, 16), nn.Linear(20, 16)]),
                              nn.Linear(16, 3)),
        compute=WithTrainingStep(step),
    )

    assert lost == set()


def test_parameters_outside_of_the_optimizer_are_found() -> None:
    observation = observe("wiring", target(
        Net, X, Y, make_optimizer=lambda model: torch.optim.Adam(model.c.parameters())))

    assert {n for n, held in values(observation, "held_by_optimizer").items() if not held} == BODY
    assert set(values(observation, "gradient_batches").values()) == {1}


def test_an_optimizer_over_another_model_holds_foreign_tensors() -> None:
    observation = observe("wiring", target(
        Net, X, Y, make_optimizer=lambda model: torch.optim.Adam(Net().parameters())))

    assert observation.value("foreign_parameters") == 6
    assert not any(values(observation, "held_by_optimizer").values())


class Stack(nn.Module):
    def __init__(self, layers: Any) -> None:
        super().__init__()
        self.first = nn.Linear(20, 32)
        self.layers = layers
        self.out = nn.Linear(32, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for layer in self.layers.values() if isinstance(self.layers, dict) else self.layers:
            x = F.relu(layer(x))
        out: Tensor = self.out(x)
        return out


@pytest.mark.parametrize(("layers", "names"), [
    (lambda: [nn.Linear(32, 32), nn.Linear(32, 32)], {"layers[0]", "layers[1]"}),
    (lambda: {"x": nn.Linear(32, 32)}, {"layers['x']"}),
    (lambda: (nn.Sequential(nn.Linear(32, 32)),), {"layers[0]"}),
    (lambda: nn.ModuleList([nn.Linear(32, 32)]), set()),
    (lambda: [nn.ReLU(), nn.Tanh()], set()),
    (lambda: [nn.Linear(32, 32).requires_grad_(False)], set()),
])
def test_layers_in_plain_containers_are_found(layers: Any, names: set[str]) -> None:
    observation = observe("wiring", target(lambda: Stack(layers()), X, Y))

    found = {n for n, count in values(observation, "unregistered_parameters").items() if count}
    assert found == names


def test_a_hidden_layer_that_the_optimizer_holds_is_trained() -> None:
    def optimizer(model: Any) -> torch.optim.Optimizer:
        return torch.optim.Adam([*model.parameters(), *model.layers[0].parameters()])

    observation = observe("wiring", target(
        lambda: Stack([nn.Linear(32, 32)]), X, Y, make_optimizer=optimizer))

    assert not any(values(observation, "unregistered_parameters").values())


@pytest.mark.parametrize(("layers", "names"), [
    (lambda: nn.ModuleList([nn.Linear(32, 32)] * 3), 3),
    (lambda: nn.Sequential(*[nn.Sequential(nn.Linear(32, 32), nn.ReLU())] * 4), 4),
    (lambda: nn.ModuleList([copy.deepcopy(nn.Linear(32, 32)) for _ in range(3)]), 1),
])
def test_a_layer_that_stands_several_times_in_a_stack_is_counted(layers: Any, names: int) -> None:
    observation = observe("wiring", target(lambda: Stack(layers()), X, Y))

    assert values(observation, "shared_names")["layers.0"] == names


def test_a_head_that_looks_at_several_layers_is_shared_on_purpose() -> None:
    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(20, 20) for _ in range(3))
            self.heads = nn.ModuleList([nn.Linear(20, 3)] * 3)

        def forward(self, x: Tensor) -> Tensor:
            outs = []
            for layer, head in zip(self.layers, self.heads, strict=True):
                x = F.relu(layer(x))
                outs.append(head(x))
            return torch.stack(outs).sum(dim=0)

    names = values(observe("wiring", target(Heads, X, Y)), "shared_names")
    assert set(names.values()) == {1}


def test_only_the_outermost_idle_module_is_named() -> None:
    def make_model() -> nn.Module:
        model = Net()
        model.extra = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4))
        return model

    active = values(observe("wiring", target(make_model, X, Y)), "active_batches")

    assert {name for name, count in active.items() if not count} == {"extra"}


def normalised(eval_mode: bool) -> nn.Module:
    model = nn.Sequential(nn.Linear(20, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.2),
                          nn.Linear(32, 3))
    return model.eval() if eval_mode else model


@pytest.mark.parametrize("eval_mode", [True, False])
def test_eval_mode_is_seen_inside_the_training_pass(eval_mode: bool) -> None:
    observation = observe("wiring", target(lambda: normalised(eval_mode), X, Y))

    assert values(observation, "ran_in_eval_mode") == {"1": eval_mode, "3": eval_mode}


def test_a_frozen_backbone_in_eval_mode_is_meant() -> None:
    def make_model() -> nn.Module:
        body = nn.Sequential(nn.Linear(20, 32), nn.BatchNorm1d(32), nn.Dropout(0.2))
        body.requires_grad_(False).eval()
        return nn.Sequential(body, nn.Linear(32, 3))

    observation = observe("wiring", target(make_model, X, Y))

    assert not any(values(observation, "ran_in_eval_mode").values())
