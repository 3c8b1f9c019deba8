"""The learning-rate probe on set-ups whose right rate is known."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
import torch
from builders import observe, target
from rate_cases import blobs, dead, mlp
from torch import Tensor, nn

from auditor.isolation import seeded
from auditor.observation import Measurement, Observation
from auditor.probe import Notebook, OutOfTime, ProbeContext
from auditor.store import BatchStore
from auditor.target import Target, WithLossFunction

LearningRate = import_module("auditor.probes.learning_rate").LearningRate
sweep = import_module("auditor.probes._sweep").sweep
_track = import_module("auditor.probes._track")
Track, Run = _track.Track, _track.Run
Race = import_module("auditor.probes._race").Race


def setup(lr: float, model: Callable[[], nn.Module] = mlp, **changes: Any) -> Target:
    x, y = blobs()
    made: Target = target(model, x, y, lr=lr, **changes)
    return made


def context_of(audited: Target, **changes: Any) -> ProbeContext:
    note = Notebook(LearningRate.name, LearningRate.yields)
    return ProbeContext(target=audited, batches=BatchStore(audited), note=note, **changes)


@pytest.mark.parametrize("lr", [1e-3, 5e-3, 3e-2])
def test_ordinary_rates_are_stable_and_learn_within_an_epoch(lr: float) -> None:
    seen = observe("learning_rate", setup(lr))

    assert float(seen.value("epoch_progress") or 0) == 1.0
    assert lr <= float(seen.value("stable_lr_high") or 0)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_rate_far_too_high_is_behind_on_every_seed(seed: int) -> None:
    seen = observe("learning_rate", setup(30.0), seed=seed)

    assert float(seen.value("lr_ratio") or 0) > 100
    assert float(seen.value("lr_gap_least") or 0) > 0.4
    assert seen.value("lr_trials") == 3


def test_a_rate_that_diverges_is_behind_one_that_does_not_yet_learn() -> None:
    x, y = blobs()
    raw = 1e4 + 1e3 * y[:, None].float()
    seen = observe("learning_rate", target(
        lambda: nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(),
                              nn.Linear(32, 1)),
        x, raw, nn.MSELoss(), lr=1e-2, optimizer=torch.optim.SGD))

    assert seen.value("blown_up_share") == 1
    assert float(seen.value("suggested_loss_after") or 0) > float(raw.var())
    assert float(seen.value("lr_gap_least") or 0) >= 1


@pytest.mark.parametrize("seed", [0, 1])
def test_a_rate_far_too_low_gets_nowhere_in_an_epoch(seed: int) -> None:
    seen = observe("learning_rate", setup(1e-7), seed=seed)

    assert float(seen.value("epoch_progress") or 0) < 0.03
    assert float(seen.value("lr_gap_least") or 0) > 0.9


@pytest.mark.parametrize(("spread", "to_noise"), [(0.5, 0.0), (math.nan, math.inf)])
def test_the_gap_is_told_in_spreads_between_seeds_where_these_are_known(
    spread: float, to_noise: float,
) -> None:
    noise = Observation("noise", measurements=(Measurement("trial_seed_noise", spread),))
    context = context_of(setup(1e-7), earlier={"noise": noise})
    LearningRate().run(context)
    seen = context.note.observation()
    ends = [float(seen.value(name) or 0) for name in ("user_loss_after", "suggested_loss_after")]

    assert float(seen.value("lr_gap_to_noise") or 0) == (
        to_noise or pytest.approx((ends[0] - ends[1]) / spread))


def test_a_conservative_rate_learns_within_an_epoch() -> None:
    seen = observe("learning_rate", setup(5e-5))

    assert float(seen.value("lr_gap") or 0) > 0.5
    assert float(seen.value("epoch_progress") or 0) > 0.5


def test_a_dead_network_learns_nothing_at_any_rate() -> None:
    seen = observe("learning_rate", setup(1e-3, dead))

    assert abs(float(seen.value("best_descent") or 0)) < 0.01


def test_samples_that_all_have_one_answer_do_not_tell_whether_a_rate_learns() -> None:
    x, _ = blobs()
    seen = observe("learning_rate", target(mlp, x, torch.zeros(len(x), dtype=torch.long), lr=1e-3))

    assert seen.value("best_descent") is None


@pytest.mark.parametrize("make_model", [mlp, dead])
def test_sorted_samples_of_late_batches_tell_whether_a_rate_learns(
    make_model: Callable[[], nn.Module],
) -> None:
    x, y = blobs()
    order = y.argsort()
    seen = observe("learning_rate", target(make_model, x[order], y[order], lr=3e-2, shuffle=False))

    learned = seen.value("best_descent")
    assert isinstance(learned, float)
    assert (learned < 0.05) == (make_model is dead)


def test_what_the_clock_cuts_short_does_not_tell_that_nothing_is_learned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = Track.go

    def cut(track: Any, lr: float, steps: int, **how: Any) -> Any:
        if len(track.judges[0][1]) > 16:
            return whole(track, lr, steps, **how)
        run = whole(track, lr, 1, **how)
        run.outcome = "out-of-time"
        return run

    monkeypatch.setattr(Track, "go", cut)
    seen = observe("learning_rate", setup(3e-2, dead))

    assert seen.value("best_descent") is None


def test_units_that_die_only_at_the_users_rate_are_counted() -> None:
    def net() -> nn.Module:
        return nn.Sequential(
            nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4))

    killed = []
    for lr in (0.3, 0.03):
        audited = setup(lr, net)
        seen = observe("learning_rate", audited, earlier=[observe("layers", audited)])
        killed.append(float(seen.value("killed_share") or 0))

    assert killed[0] > 0.3
    assert killed[1] == 0.0


def test_answers_that_are_shuffled_in_every_step_are_not_known_by_heart() -> None:
    def shuffled(output: Tensor, y: Tensor) -> Tensor:
        return nn.functional.cross_entropy(output[torch.randperm(len(output))], y)

    seen = observe("learning_rate", setup(3e-2, compute=WithLossFunction(shuffled)))

    assert float(seen.value("best_descent") or 0) < 0.01


def test_the_flat_range_holds_the_suggestion() -> None:
    seen = observe("learning_rate", setup(1e-3))

    low, best, high = (float(seen.value(name) or 0)
                       for name in ("flat_lr_low", "suggested_lr", "flat_lr_high"))
    assert low <= best <= high


def _slow_start(lr: float) -> Observation:
    """Ask for a rate where no rate learns in the first dozen steps; 0.2 to 0.4 is best for 300."""
    g = torch.Generator().manual_seed(7)
    x = torch.randn(1600, 20, generator=g)
    y = torch.sin(x @ torch.randn(20, generator=g) / 2).unsqueeze(1)

    def net() -> nn.Module:
        return nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(),
                             nn.Linear(64, 1))

    return observe("learning_rate", target(
        net, x, y, nn.MSELoss(), optimizer=torch.optim.SGD, lr=lr, batch_size=64))


def test_the_leaders_go_on_where_the_task_starts_slowly() -> None:
    seen = _slow_start(lr=0.3)

    lengths = [len(curve.x) for curve in seen.series if curve.name == "lr_race"]
    assert max(lengths) > float(seen.value("lr_trial_steps") or 0)


def test_rates_that_rise_before_they_fall_are_not_left_behind() -> None:
    assert 0.15 < float(_slow_start(lr=0.05).value("suggested_lr") or 0) < 0.5


def test_no_rate_is_run_late_for_a_task_that_no_rate_learns() -> None:
    g = torch.Generator().manual_seed(3)
    x, y = torch.randn(1600, 20, generator=g), torch.randn(1600, 1, generator=g)

    seen = observe("learning_rate", target(
        lambda: nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 1)), x, y, nn.MSELoss(),
        optimizer=torch.optim.SGD, lr=0.01, batch_size=64))

    # Not even one of those that the heats dropped is suggested.
    assert float(seen.value("suggested_lr") or 0) <= 0.05


def test_groups_keep_their_ratio_in_every_run() -> None:
    def grouped(model: nn.Module) -> torch.optim.Optimizer:
        first, *rest = model.parameters()
        return torch.optim.SGD([{"params": [first], "lr": 0.1}, {"params": rest, "lr": 0.01}])

    audited = setup(0.1, make_optimizer=grouped)
    with seeded(0):
        track = Track(context_of(audited), 10)
        track.go(0.5, 3)
        rates = [group["lr"] for group in track.bench.optimizer.param_groups]

    assert rates == pytest.approx([0.5, 0.05])


def test_every_run_on_a_track_begins_alike() -> None:
    with seeded(0):
        track = Track(context_of(setup(1e-2, dropping)), 20)
        first = track.go(1e-2, 10)
        track.go(3.0, 10)
        again = track.go(1e-2, 10)

    assert first.losses == again.losses
    assert first.after == again.after


def dropping() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 32), nn.Dropout(0.5), nn.ReLU(), nn.Linear(32, 4))


def test_a_sweep_over_a_frozen_model_is_flat_and_within_its_noise() -> None:
    class Frozen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = dropping().requires_grad_(False)
            self.unused = nn.Parameter(torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.body(x) + 0 * self.unused
            return out

    with seeded(0):
        swept = sweep(Track(context_of(setup(1e-3, Frozen)), 40))

    assert not swept.improves()


def test_a_loss_that_is_not_finite_is_not_measured() -> None:
    x, y = blobs(200)
    seen = observe("learning_rate", target(mlp, x * torch.nan, y))

    assert seen.measurements == ()
    assert "not finite" in seen.missed["lr_gap"]


def test_too_little_time_is_said_before_anything_is_run() -> None:
    context = context_of(setup(1e-3), step_seconds=10.0, deadline=time.monotonic() + 60)

    with pytest.raises(OutOfTime):
        LearningRate().run(context)
    assert context.note.steps == 0


def test_the_users_random_state_is_untouched() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()

    observe("learning_rate", setup(1e-3))

    assert bool((torch.get_rng_state() == before).all())


def test_the_ends_of_the_stable_range_have_a_spread_over_batches() -> None:
    seen = observe("learning_rate", setup(1e-3))
    spreads = {m.name: m.spread for m in seen.measurements}

    for end in ("stable_lr_low", "stable_lr_high"):
        assert 0 <= float(spreads[end] or -1) < 10 * float(seen.value(end) or 0)


def ran(lr: float, loss: float) -> Any:
    return Run(lr, [2.3] * 56, "finished", (loss, loss))


@pytest.mark.parametrize(("above", "suggested"), [(2.3, 0.07), (0.3, 0.14)])
def test_next_to_a_rate_that_falls_apart_the_lower_one_of_two_is_suggested(
    above: float, suggested: float,
) -> None:
    runs = [ran(0.001, 2.2), ran(0.07, 0.2), ran(0.14, 0.17), ran(0.28, above)]

    assert Race(runs, runs[0], 2.3, 2.3).best.lr == suggested


def test_the_lower_one_has_to_be_as_good() -> None:
    runs = [ran(0.07, 0.4), ran(0.14, 0.17), ran(0.28, math.inf)]

    assert Race(runs, runs[0], 2.3, 2.3).best.lr == 0.14
