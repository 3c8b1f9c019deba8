"""The probe `wiring` where values go through calls that cannot be followed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from builders import observe, target
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it
from wiring_cases import Encoder, Net, X, Y, cut, values

from auditor.target import WithTrainingStep

BODY = {"a.weight", "a.bias", "b.weight", "b.bias"}


class Kernel(torch.autograd.Function):
    """Of another library, in another language: what goes in and comes out is not seen."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(h, weight)
        with torch._C.DisableTorchFunction():
            return h @ weight

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, Tensor]:
        h, weight = ctx.saved_tensors
        return slopes[0] @ weight.T, h.T @ slopes[0]


class WithKernel(Net):
    def __init__(self, *, loses: bool = False, logs: bool = False) -> None:
        super().__init__()
        self.loses, self.logs = loses, logs
        self.weight = nn.Parameter(0.1 * torch.randn(32, 16))
        self.pooler, self.c = nn.Linear(32, 4), nn.Linear(16, 3)
        self.seen: list[Any] = []

    def forward(self, x: Tensor) -> Tensor:
        h = self.features(x)
        if self.logs:
            self.seen = [p.detach().norm() for p in self.parameters()]
            self.seen += [self.pooler(h).detach().mean(), h.detach().mean()]
        if self.loses:
            h = h.detach()  # the fault
        out: Tensor = self.c(Kernel.apply(h, self.weight))  # type: ignore[no-untyped-call]
        return out


@pytest.mark.parametrize("logs", [True, False])
def test_a_cut_is_found_before_values_that_cannot_be_followed(logs: bool) -> None:
    found = observe("wiring", target(lambda: WithKernel(loses=True, logs=logs), X, Y))
    lost = {name for name, count in values(found, "cut_batches").items() if count}

    assert lost - {"pooler.weight", "pooler.bias"} == BODY
    assert values(found, "cut_by")["a.weight"] == "detach()"
    assert "the fault" in found.places["a.weight"].code


def test_what_is_logged_before_values_that_cannot_be_followed_is_no_cut() -> None:
    found = observe("wiring", target(lambda: WithKernel(logs=True), X, Y))

    assert {name for name, count in values(found, "cut_batches").items() if count} <= {
        "pooler.weight", "pooler.bias"}
    assert "detach()" not in values(found, "cut_by").values()


def test_a_backward_pass_of_a_probe_in_the_step_cuts_nothing_off() -> None:
    class Probed(Encoder):
        def __init__(self) -> None:
            super().__init__()
            self.online = nn.Linear(32, 3)
            self.slow = nn.Linear(32, 32)

    def step(model: nn.Module, batch: Any) -> Tensor:
        assert isinstance(model, Probed)
        with torch.no_grad():
            model.slow.weight.lerp_(model.b.weight.data, 0.1)
            model.pool.weight.data.norm()
        h = model.features(batch[0])
        F.cross_entropy(model.online(h.detach()), batch[1]).backward()  # type: ignore[no-untyped-call]
        return F.cross_entropy(model.c(h), batch[1])

    lost, _ = cut(Probed, compute=WithTrainingStep(step))

    assert lost == set()


class Halved(torch.autograd.Function):
    """With a forward of ordinary calls, which run without gradients."""

    @staticmethod
    def forward(ctx: Any, h: Tensor) -> Tensor:
        return 0.5 * h

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Tensor:
        return 0.5 * slopes[0]


def test_zero_weights_behind_an_autograd_function_are_no_cut() -> None:
    class Dead(Net):
        def __init__(self) -> None:
            super().__init__()
            self.c = nn.Sequential(nn.Linear(32, 8), nn.ReLU(), nn.Linear(8, 3))  # type: ignore[assignment]
            for parameter in self.c.parameters():
                nn.init.zeros_(parameter)

        def forward(self, x: Tensor) -> Tensor:
            halved = Halved.apply(self.features(x))  # type: ignore[no-untyped-call]
            out: Tensor = self.c(halved)
            return out

    assert cut(Dead) == (set(), set())


@pytest.mark.parametrize("logs", [True, False])
def test_what_is_logged_beside_a_derivative_is_no_cut(logs: bool) -> None:
    seen: list[Tensor] = []

    def step(model: nn.Module, batch: Any) -> Tensor:
        x = batch[0].requires_grad_()
        energy = model(x)
        if logs:
            seen[:] = [energy.detach()]
        (force,) = torch.autograd.grad(energy.sum(), x, create_graph=True)
        penalty: Tensor = force.square().mean()
        return penalty

    lost, _ = cut(lambda: nn.Sequential(nn.Linear(20, 8), nn.Tanh(), nn.Linear(8, 1)),
                  compute=WithTrainingStep(step))

    assert lost == set()


class Bare(nn.Module):
    """A model whose parameters are all its own."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(20, 3))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight


def test_a_model_of_bare_parameters_has_no_layers_to_judge() -> None:
    seen = observe("wiring", target(Bare, X, Y))

    assert {"active_batches", "unregistered_parameters"} <= set(seen.absent)
    assert not seen.missed.keys() & {"active_batches", "unregistered_parameters"}


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.AdamW])
@pytest.mark.parametrize(("floor", "learns"), [(0.0, False), (1.0, True)])
def test_a_loss_that_is_exactly_zero_gives_nothing_a_gradient(
    floor: float, learns: bool, optimizer: Any,
) -> None:
    def step(model: nn.Module, batch: Any) -> Tensor:
        return floor * F.cross_entropy(model(batch[0]), batch[1])

    seen = observe("wiring", target(
        Bare, X, Y, compute=WithTrainingStep(step), optimizer=optimizer))

    assert seen.value("loss_is_zero") is not learns
    assert (seen.value("cut_batches", "weight") == 0) is learns


def test_a_margin_that_all_samples_keep_is_no_fault() -> None:
    def model() -> nn.Module:
        layer = nn.Linear(20, 20)
        nn.init.eye_(layer.weight)
        return layer

    def step(model: nn.Module, batch: Any) -> Tensor:
        return F.triplet_margin_loss(model(batch[0]), model(batch[0] + 0.01), model(-batch[0]),
                                     margin=0.2)

    seen = observe("wiring", target(model, X, Y, compute=WithTrainingStep(step)))

    assert seen.value("cut_batches", "weight") == 0
    assert seen.value("loss_is_zero") is False


def test_a_cut_keeps_its_name_where_the_loss_comes_down_to_zero() -> None:
    def step(model: nn.Module, batch: Any) -> Tensor:
        hidden = F.relu(model[0](batch[0])).detach()  # type: ignore[index]
        return F.relu(1 - model[1](hidden).sum(dim=1)).mean()  # type: ignore[index]

    seen = observe("wiring", target(
        lambda: nn.Sequential(nn.Linear(20, 32), nn.Linear(32, 3)), X, Y, lr=0.3,
        compute=WithTrainingStep(step)))

    assert "detach" in str(seen.value("cut_by", "0.weight"))
    assert seen.value("loss_is_zero") is False
