"""Trials train as the user would, and leave everything of theirs as it was."""

from __future__ import annotations

import copy
import dataclasses
import math
import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from builders import target
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from auditor.errors import TargetError
from auditor.isolation import Defaults, seeded
from auditor.store import BatchStore
from auditor.target import Target, WithTrainingStep
from auditor.trial import Bench, Changes, fresh_run, run

G = torch.Generator().manual_seed(0)
X = torch.randn(64, 4, generator=G)
Y = (X[:, 0] > 0).long()


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2),
                         nn.Linear(8, 2))


def audited(**changes: Any) -> Target:
    return target(net, X, Y, batch_size=16, lr=0.05, **changes)


def opened(changes: Changes | None = None, **target_changes: Any) -> tuple[Bench, BatchStore]:
    """Return a bench and a store; the caller holds a seed."""
    set_up = audited(**target_changes)
    return Bench(set_up, changes), BatchStore(set_up)


def by_hand(steps: int) -> tuple[list[float], nn.Module]:
    """Train without the trial, as a user's loop does."""
    batches = BatchStore(audited()).train(4)
    with seeded(3):
        model = net()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
        losses = []
        for step in range(steps):
            x, y = batches[step % 4]
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(float(loss.detach()))
    return losses, model


def test_a_trial_is_the_users_own_loop_bit_for_bit() -> None:
    expected, model = by_hand(6)
    with seeded(3):
        bench = Bench(audited())
        result = run(bench, BatchStore(audited()).cycled(6, of=4))

    assert result.losses == expected and result.outcome == "finished"
    assert all(torch.equal(a, b) for a, b in zip(
        bench.model.state_dict().values(), model.state_dict().values(), strict=True))


def test_the_same_seed_gives_the_same_run() -> None:
    store = BatchStore(audited())

    first, second = (fresh_run(audited(), store.cycled(5), seed=1).losses for _ in range(2))

    assert first == second
    assert first != fresh_run(audited(), store.cycled(5), seed=2).losses


@pytest.mark.parametrize("name", ["Adam", "SGD", "Adagrad", "LBFGS", "NAdam"])
def test_a_snapshot_brings_back_the_same_steps(name: str) -> None:
    optimizer = getattr(torch.optim, name)
    with seeded(0):
        bench, store = opened(make_optimizer=lambda m: optimizer(m.parameters(), lr=0.05))
        stream = list(store.cycled(6))
        for batch in stream[:3]:
            bench.step(batch)
        kept = bench.snapshot()
        first = [bench.step(batch) for batch in stream[3:]]
        bench.restore(kept)
        second = [bench.step(batch) for batch in stream[3:]]

    assert first == second and bench.steps == 6


def test_a_snapshot_holds_the_generators_of_python_and_numpy_too() -> None:
    with seeded(0):
        bench, _ = opened()
        kept = bench.snapshot()
        first = random.random(), np.random.rand()
        bench.restore(kept)
        second = random.random(), np.random.rand()

    assert first == second


def test_a_buffer_that_changes_its_shape_is_restored() -> None:
    class Remembers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 2)
            self.register_buffer("last", torch.zeros(1))

        def forward(self, x: Tensor) -> Tensor:
            self.last: Tensor = x[:, 0].clone()
            return self.fc(x)  # type: ignore[no-any-return]

    with seeded(0):
        store = BatchStore(audited())
        bench = Bench(dataclasses.replace(audited(), make_model=Remembers))
        kept = bench.snapshot()
        bench.step(store.train(1)[0])
        bench.restore(kept)

    assert dict(bench.model.named_buffers())["last"].tolist() == [0.0]


# ---- changes


def rate_after(changes: Changes, **target_changes: Any) -> list[float]:
    """Return the groups' rates in the first step of a trial."""
    with seeded(0):
        bench, store = opened(changes, **target_changes)
        bench.step(store.train(1)[0])
        return [float(group["lr"]) for group in bench.optimizer.param_groups]


def two_groups(model: nn.Module) -> torch.optim.Optimizer:
    first, *rest = model.parameters()
    return torch.optim.SGD([{"params": [first], "lr": 0.1}, {"params": rest, "lr": 0.01}])


def test_a_rate_is_set_for_the_first_group_and_the_others_keep_their_ratio() -> None:
    assert rate_after(Changes(lr=1.0), make_optimizer=two_groups) == pytest.approx([1.0, 0.1])
    assert rate_after(Changes(lr_factor=3.0), make_optimizer=two_groups) == pytest.approx(
        [0.3, 0.03])


def test_a_tensor_rate_is_set_in_place() -> None:
    def make(model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.Adam(model.parameters(), lr=torch.tensor(0.1), foreach=False)

    assert rate_after(Changes(lr=0.5), make_optimizer=make) == pytest.approx([0.5])


def test_the_users_warm_up_is_shortened_and_their_peak_kept() -> None:
    def schedule(optimizer: torch.optim.Optimizer) -> Any:
        return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: min(1.0, (s + 1) / 500))

    with seeded(0):
        bench, store = opened(make_scheduler=schedule)
        rates = []
        for batch in store.cycled(12):
            bench.step(batch)
            rates.append(float(bench.optimizer.param_groups[0]["lr"]))

    assert rates[0] == pytest.approx(0.005) and rates[9:] == pytest.approx([0.05] * 3)


def test_changes_reach_the_model_and_the_optimizer() -> None:
    def freeze(model: nn.Module) -> None:
        next(model.parameters()).requires_grad_(False)

    with seeded(0):
        bench, _ = opened(Changes(weight_decay=0.3, dropout=0.0, prepare=freeze))

    assert bench.optimizer.param_groups[0]["weight_decay"] == 0.3
    assert [m.p for m in bench.model.modules() if isinstance(m, nn.Dropout)] == [0.0]
    assert not next(bench.model.parameters()).requires_grad


def test_gradients_are_clipped_at_the_norm() -> None:
    norms: list[Tensor] = []
    with seeded(0):
        bench, store = opened(
            Changes(clip_norm=1e-3),
            make_optimizer=lambda m: torch.optim.SGD(m.parameters(), lr=1.0))
        bench.optimizer.register_step_pre_hook(lambda o, a, k: norms.append(
            torch.stack([p.grad.norm() for p in o.param_groups[0]["params"]]).norm()))
        bench.step(store.train(1)[0])

    assert float(norms[0]) == pytest.approx(1e-3, rel=1e-3)


def test_every_batch_can_be_changed() -> None:
    with seeded(0):
        bench, store = opened(Changes(batch=lambda b: (b[0] * 0, b[1])))
        bench.model.eval()
        output = bench.loss(store.train(1)[0]).output

    assert torch.equal(output, output[:1].expand_as(output))


# ---- steps of other kinds


class Ascent(torch.optim.Optimizer):
    """Sharpness-aware minimisation, as its users write it."""

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, {"lr": lr})
        self.base = torch.optim.SGD(self.param_groups, lr=lr)
        self.param_groups = self.base.param_groups

    def first_step(self) -> None:
        for p in self.param_groups[0]["params"]:
            self.state[p]["moved"] = 0.05 * p.grad / (p.grad.norm() + 1e-12)
            p.data.add_(self.state[p]["moved"])

    def second_step(self) -> None:
        for p in self.param_groups[0]["params"]:
            p.data.sub_(self.state[p]["moved"])
        self.base.step()

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        assert closure is not None
        self.first_step()
        closure()
        self.second_step()


@pytest.mark.parametrize("make", [
    lambda m: torch.optim.LBFGS(m.parameters(), lr=0.1), lambda m: Ascent(m.parameters(), 0.1),
])
def test_optimizers_that_evaluate_the_loss_themselves_train(make: Any) -> None:
    set_up = audited(make_optimizer=make)
    stream = BatchStore(set_up).cycled(12, of=1)

    losses = fresh_run(set_up, stream, seed=0, changes=Changes(dropout=0.0)).losses

    assert losses[-1] < losses[0]


def test_a_step_that_calls_backward_itself_trains_the_same() -> None:
    def plain(model: nn.Module, batch: Any) -> Tensor:
        return F.cross_entropy(model(batch[0]), batch[1])

    def backward_inside(model: nn.Module, batch: Any) -> Tensor:
        loss = plain(model, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    store = BatchStore(audited())
    first, second = (
        fresh_run(audited(compute=WithTrainingStep(step)), store.cycled(5), seed=0).losses
        for step in (plain, backward_inside)
    )

    assert first == second


def test_a_step_under_autocast_with_a_scaler_trains() -> None:
    scaler = torch.amp.GradScaler("cpu", enabled=True, init_scale=2.0)

    def step(model: nn.Module, batch: Any) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = F.cross_entropy(model(batch[0]).float(), batch[1])
        return scaler.scale(loss)

    losses = fresh_run(audited(compute=WithTrainingStep(step)), BatchStore(audited()).cycled(8),
                       seed=0).losses

    assert losses[-1] < losses[0]


def test_a_loss_without_a_graph_takes_a_step_that_moves_nothing() -> None:
    def step(model: nn.Module, batch: Any) -> Tensor:
        return F.cross_entropy(model(batch[0]), batch[1]).detach()

    with seeded(0):
        bench, store = opened(compute=WithTrainingStep(step))
        before = [p.clone() for p in bench.model.parameters()]
        bench.step(store.train(1)[0])

    assert all(torch.equal(a, b) for a, b in zip(before, bench.model.parameters(), strict=True))


def test_an_optimizer_without_a_rate_is_refused() -> None:
    def make(model: nn.Module) -> torch.optim.Optimizer:
        made = torch.optim.SGD(model.parameters(), lr=1.0)
        made.param_groups[0]["lr"] = None
        return made

    with pytest.raises(TargetError, match="sets its own learning rate"), seeded(0):
        Bench(audited(make_optimizer=make))


# ---- how runs end


def test_divergence_is_an_outcome() -> None:
    result = fresh_run(audited(make_optimizer=lambda m: torch.optim.SGD(m.parameters(), lr=1e30)),
                       BatchStore(audited()).cycled(20), seed=0)

    assert result.outcome == "diverged" and not math.isfinite(result.losses[-1])


def test_a_run_ends_at_its_deadline_or_when_the_answer_is_clear() -> None:
    late = fresh_run(audited(), BatchStore(audited()).cycled(5), seed=0,
                     deadline=time.monotonic() - 1)
    with seeded(0):
        enough = run(Bench(audited()), BatchStore(audited()).cycled(5),
                     stop=lambda losses: len(losses) == 2)

    assert late.outcome == "out-of-time" and not late.losses
    assert enough.outcome == "finished" and len(enough.losses) == 2


def ends_well(model: nn.Module, batch: Any) -> Tensor:
    return F.cross_entropy(model(batch[0]), batch[1])


def diverges(model: nn.Module, batch: Any) -> Tensor:
    return ends_well(model, batch) * math.inf


def fails(model: nn.Module, batch: Any) -> Tensor:
    ends_well(model, batch).backward()  # type: ignore[no-untyped-call]
    raise ValueError("no")


def is_interrupted(model: nn.Module, batch: Any) -> Tensor:
    ends_well(model, batch).backward()  # type: ignore[no-untyped-call]
    raise KeyboardInterrupt


@pytest.mark.parametrize("step", [ends_well, diverges, fails, is_interrupted])
def test_nothing_of_the_users_is_changed(step: Callable[..., Tensor]) -> None:
    own = net().eval()
    own[0].weight.grad = torch.ones_like(own[0].weight)  # type: ignore[index]
    optimizer = torch.optim.Adam(own.parameters(), lr=0.1)

    set_up = dataclasses.replace(
        audited(compute=WithTrainingStep(step)), make_model=lambda: copy.deepcopy(own))

    def state() -> list[Any]:
        return [
            {n: t.tolist() for n, t in own.state_dict().items()},
            [m.training for m in own.modules()], own[0].weight.grad.tolist(),  # type: ignore[index]
            [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in own.modules()],
            [p.requires_grad for p in own.parameters()], repr(optimizer), len(optimizer.state),
            torch.get_rng_state().tolist(), random.getstate(), Defaults.now(),
            np.random.get_state()[1].tolist(),  # type: ignore[index]
        ]

    before = state()
    try:
        fresh_run(set_up, BatchStore(set_up).cycled(3), seed=0)
    except (TargetError, KeyboardInterrupt):
        assert step in (fails, is_interrupted)

    assert state() == before
