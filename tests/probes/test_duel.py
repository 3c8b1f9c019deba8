"""The learning-rate probe where there is no time for a race: the user's rate against one other."""

from __future__ import annotations

import time
from importlib import import_module
from typing import Any

import pytest
import torch
from builders import target
from rate_cases import blobs, dead, mlp

from auditor.observation import Observation
from auditor.probe import Notebook, OutOfTime, ProbeContext
from auditor.store import BatchStore

probe = import_module("auditor.probes.learning_rate")
LearningRate = probe.LearningRate
sweeps = import_module("auditor.probes._sweep")
plans = import_module("auditor.probes._rate_plan")
closer = import_module("auditor.probes._closer_look")


def duel(
    lr: float, *, fits: float = 200.0, seed: int = 0, model: Any = mlp, **changes: Any,
) -> Observation:
    """Run the probe with time for so many steps."""
    audited = target(model, *blobs(), lr=lr, **changes)
    note = Notebook(LearningRate.name, LearningRate.yields)
    # Steps take far less than is said here: plans are made by what is said.
    LearningRate().run(ProbeContext(
        target=audited, batches=BatchStore(audited), note=note, seed=seed, step_seconds=1.0,
        deadline=time.monotonic() + fits * 1.15 + 0.5))
    return note.observation()


def number(seen: Observation, name: str) -> float:
    found = seen.value(name)
    assert isinstance(found, float | int), seen.missed.get(name, name)
    return float(found)


@pytest.mark.parametrize("fits", [plans.MINIMUM, 340.0])
def test_an_ordinary_rate_needs_no_closer_look(fits: float) -> None:
    seen = duel(1e-2, fits=fits, optimizer=torch.optim.Adam)

    assert number(seen, "lr_gap") < 0.3
    assert number(seen, "lr_trials") == 1
    assert number(seen, "lr_trial_steps") == 30
    assert any("not to look for the best" in note for note in seen.notes)


def test_a_conservative_rate_learns_within_an_epoch() -> None:
    seen = duel(1e-3, optimizer=torch.optim.Adam)

    assert number(seen, "lr_gap") > 0.3
    assert number(seen, "epoch_progress") > 0.9


@pytest.mark.parametrize("seed", [0, 1])
def test_a_rate_that_an_epoch_surpasses_is_not_the_one_to_compare_with(
    seed: int, monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Half of it learned at 0.5, 0.8 at the epoch's rate of 0.007, 0.9 between them.
    misled = sweeps.Sweep((4.0,), (1.0,), 2.0, 0.0)
    monkeypatch.setattr(probe, "sweep", lambda track, points: misled)

    seen = duel(1e-4, seed=seed, optimizer=torch.optim.Adam)

    assert 0.01 < number(seen, "suggested_lr") < 0.3
    assert 0.7 < number(seen, "epoch_progress") < 1


@pytest.mark.parametrize("seed", [0, 1])
def test_a_rate_far_too_high_is_behind_on_every_seed(seed: int) -> None:
    seen = duel(30.0, seed=seed)

    assert number(seen, "lr_ratio") > 20
    assert number(seen, "lr_gap_least") > 0.4
    assert number(seen, "lr_trials") == 2
    assert seen.value("warmup_tried") is True
    assert seen.steps <= plans.ENOUGH


@pytest.mark.parametrize(("lr", "known"), [(1e3, True), (10.0, False)])
def test_a_rate_beyond_the_reach_of_a_warm_up_needs_none(
    lr: float, known: bool, monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Steps turn out to be slower: the warm-up is not finished.
    monkeypatch.setattr(closer, "warm_up", lambda *given: False)
    monkeypatch.setattr(closer, "compare", lambda *given: None)

    seen = duel(lr)

    assert ("lr_gap_least" not in seen.missed) is known
    if known:
        assert number(seen, "lr_gap_least") > 0.9
        assert number(seen, "lr_trials") == 1


@pytest.mark.parametrize("seed", [0, 1])
def test_a_rate_far_too_low_gets_nowhere_in_an_epoch(seed: int) -> None:
    seen = duel(1e-7, seed=seed)

    assert number(seen, "lr_ratio") < 1e-3
    assert number(seen, "epoch_progress") < 0.03
    assert number(seen, "lr_gap_least") > 0.9
    assert number(seen, "lr_trials") == 2


def test_one_initialisation_tells_of_a_rate_that_is_decades_too_low() -> None:
    seen = duel(1e-7, fits=140.0)

    assert number(seen, "lr_trials") == 1
    assert number(seen, "lr_gap_least") > 0.9
    assert number(seen, "epoch_progress") < 0.03


def test_a_rate_that_diverges_is_compared_even_in_the_least_time() -> None:
    seen = duel(1e4, fits=plans.MINIMUM, optimizer=torch.optim.SGD)

    assert number(seen, "lr_gap_least") > 0.4
    assert number(seen, "lr_trials") == 3
    assert seen.value("warmup_tried") is True


def test_what_there_is_no_time_to_compare_is_not_measured() -> None:
    seen = duel(1e-7, fits=plans.MINIMUM)

    assert "lr_gap_least" in seen.missed
    assert number(seen, "lr_ratio") < 1e-3


def test_a_dead_network_learns_nothing_at_either_rate() -> None:
    assert number(duel(1e-2, model=dead), "best_descent") < 0.05


def test_less_time_than_a_duel_takes_is_said_before_anything_is_run() -> None:
    with pytest.raises(OutOfTime, match=f"{plans.MINIMUM} training steps"):
        duel(1e-2, fits=plans.MINIMUM / 2)


@pytest.mark.parametrize(("seconds", "total", "duels"), [
    (1.0, 650, False), (2.0, 350, False), (3.0, 250, True), (5.0, 185, True), (10.0, 110, True),
])
def test_steps_that_turn_out_to_be_slower_leave_a_smaller_plan(
    seconds: float, total: int, duels: bool,
) -> None:
    audited = target(mlp, *blobs())
    context = ProbeContext(target=audited, batches=BatchStore(audited), note=Notebook("x", ()),
                           step_seconds=1e-3, deadline=time.monotonic() + 100.05)
    plan = plans.plan_for(context, plans.STANDARD)

    now = plans.refitted(plan, context, 10, seconds)

    assert (plan.total, now.total, now.duels) == (650, total, duels)


def test_steps_that_turn_out_to_be_far_slower_end_the_experiment() -> None:
    audited = target(mlp, *blobs())
    context = ProbeContext(target=audited, batches=BatchStore(audited), note=Notebook("x", ()),
                           step_seconds=1e-3, deadline=time.monotonic() + 100)

    with pytest.raises(OutOfTime, match="slower"):
        plans.refitted(plans.plan_for(context, plans.STANDARD), context, 10, 20.0)
