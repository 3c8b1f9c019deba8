"""The learning-rate probe where there is nothing to divide by, and when it is stopped."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
from builders import observe, part_of_probes, target
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from auditor.isolation import seeded
from auditor.observation import Observation
from auditor.probe import Notebook, ProbeContext
from auditor.store import BatchStore
from auditor.target import Target

LearningRate = part_of_probes("learning_rate").LearningRate
plan = part_of_probes("_rate_plan")


def data(count: int = 320) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(count, 6, generator=g)
    return x, (x[:, 0] > 0).long() + 2 * (x[:, 1] > 0).long()


def net(outputs: int = 4) -> nn.Module:
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, outputs))


def quick(audited: Target, seed: int = 0) -> Observation:
    note = Notebook(LearningRate.name, LearningRate.yields)
    store = BatchStore(audited, seed)
    LearningRate(steps=350).run(
        ProbeContext(target=audited, batches=store, note=note, seed=seed))
    store.close()
    return note.observation()


def regression(y: Tensor, **changes: Any) -> Target:
    made: Target = target(lambda: net(1), data()[0], y, nn.MSELoss(), **changes)
    return made


def with_loss(loss: Callable[[Tensor, Tensor], Tensor], **changes: Any) -> Target:
    x, y = data()
    made: Target = target(net, x, y, loss, **changes)
    return made


def test_a_run_that_does_not_get_to_the_uninformed_loss_has_learned_nothing() -> None:
    def far_off() -> nn.Module:
        model = net(1)
        nn.init.constant_(model[2].bias, 10.0)  # type: ignore[index]
        return model

    x, _ = data()
    seen = observe("learning_rate", target(far_off, x, x[:, :1].clone(), nn.MSELoss(), lr=1e-6))

    assert seen.value("user_loss_after") > 10  # type: ignore[operator]
    assert seen.value("epoch_progress") == 0


X, Y = data()
ODD = {
    "constant targets": lambda: regression(torch.ones(320, 1)),
    "targets of zero": lambda: regression(torch.zeros(320, 1), lr=0.5),
    "one class": lambda: target(net, X, torch.zeros(320, dtype=torch.long)),
    "sorted by class": lambda: target(net, X[Y.argsort()], Y.sort().values, shuffle=False),
    "a loss of exactly zero": lambda: with_loss(lambda out, y: (out * 0).sum()),
    "a constant loss": lambda: with_loss(lambda out, y: (out * 0).sum() + 3),
    "a negative loss": lambda: with_loss(lambda out, y: -out.softmax(1).amax(1).mean()),
    "a loss without bound": lambda: with_loss(lambda out, y: out.mean()),
    "a loss of noise": lambda: with_loss(lambda out, y: (out * 0).sum() + torch.rand(())),
    "a single batch": lambda: target(net, X, Y, batch_size=320),
    "a single sample": lambda: target(net, X[:1], Y[:1]),
    "batches of one": lambda: target(net, X[:40], Y[:40], batch_size=1),
    "a rate of zero": lambda: target(net, X, Y, lr=0.0),
    "a rate of a thousand": lambda: target(net, X, Y, optimizer=torch.optim.SGD, lr=1e3),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_data_gives_numbers_or_a_reason_for_each(name: str) -> None:
    seen = quick(ODD[name]())

    known = {m.name for m in seen.measurements} | set(seen.absent) | set(seen.missed)
    assert known == {quantity.name for quantity in LearningRate.yields}
    assert not any(isinstance(m.value, float) and math.isnan(m.value) for m in seen.measurements)


@pytest.mark.parametrize("steps", [plan.STANDARD, plan.QUICK])
@pytest.mark.parametrize("lr", [1e-6, 1e-2, 10.0])
def test_no_more_steps_are_taken_than_were_allowed(steps: int, lr: float) -> None:
    audited = target(net, X, Y, optimizer=torch.optim.SGD, lr=lr)
    note = Notebook(LearningRate.name, LearningRate.yields)
    context = ProbeContext(target=audited, batches=BatchStore(audited), note=note)

    LearningRate(steps=steps).run(context)

    assert note.steps <= steps


@pytest.mark.parametrize(("room", "steps"), [(1.0, 350), (1.2, 650)])
def test_a_plan_leaves_room_for_steps_that_take_longer_than_was_timed(
    room: float, steps: int,
) -> None:
    audited = target(net, X, Y)
    context = ProbeContext(
        target=audited, batches=BatchStore(audited), note=Notebook("x", ()), step_seconds=1.0,
        deadline=time.monotonic() + room * plan.STANDARD + 0.5)

    assert plan.plan_for(context, plan.STANDARD).total == steps


def test_the_clock_changes_nothing_while_the_budget_suffices() -> None:
    first, second = (_measured(step_seconds) for step_seconds in (1e-5, 1e-2))

    assert first == second


def _measured(step_seconds: float) -> dict[str, Any]:
    audited = target(net, X, Y, lr=1e-2)
    note = Notebook(LearningRate.name, LearningRate.yields)
    LearningRate().run(ProbeContext(target=audited, batches=BatchStore(audited), note=note,
                                    step_seconds=step_seconds, deadline=time.monotonic() + 100))
    return {m.name: m.value for m in note.observation().measurements}


def wild(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=100.0, momentum=0.9)


class _Owned:
    """A user's objects, which the target's factories hand out copies of or read."""

    def __init__(self, stop_at: int = 0) -> None:
        self.model = net()
        self.optimizer = wild(self.model)
        self.loader = DataLoader(TensorDataset(X, Y), batch_size=32, shuffle=True)
        self.calls, self.stop_at = 0, stop_at

    def loss(self, output: Tensor, y: Tensor) -> Tensor:
        self.calls += 1
        if self.calls == self.stop_at:
            raise KeyboardInterrupt
        return nn.functional.cross_entropy(output, y)

    def state(self) -> list[Any]:
        return [*(p.detach().clone() for p in self.model.parameters()), X.clone(), Y.clone(),
                torch.get_rng_state()]

    def target(self) -> Target:
        made: Target = target(
            net, X, Y, self.loss, make_train_loader=lambda: self.loader,
            make_optimizer=wild)
        return made


@pytest.mark.parametrize("stop_at", [0, 30, 120])
def test_what_is_the_users_is_bit_equal_after_divergence_and_ctrl_c(stop_at: int) -> None:
    owned = _Owned(stop_at)
    before = owned.state()

    if stop_at:
        with pytest.raises(KeyboardInterrupt):
            observe("learning_rate", owned.target())
    else:
        observe("learning_rate", owned.target())

    assert all(torch.equal(a, b) for a, b in zip(before, owned.state(), strict=True))
    assert not owned.optimizer.state


def test_a_schedule_is_off_while_the_rate_is_swept() -> None:
    def halving(optimizer: torch.optim.Optimizer) -> Any:
        return torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)

    audited = target(net, X, Y, optimizer=torch.optim.SGD, lr=0.1, make_scheduler=halving)
    note = Notebook(LearningRate.name, LearningRate.yields)
    with seeded(0):
        track = part_of_probes("_track").Track(
            ProbeContext(target=audited, batches=BatchStore(audited), note=note), 10)
        track.go(0.2, 5)

    assert track.bench.optimizer.param_groups[0]["lr"] == 0.2
