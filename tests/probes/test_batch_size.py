"""Gradient noise, memory and throughput."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from builders import observe, part_of_probes, target
from torch import Tensor, nn

from auditor.isolation import seeded
from auditor.observation import Observation
from auditor.probe import OutOfTime
from auditor.trial import Bench

G = torch.Generator().manual_seed(0)
X = torch.randn(2048, 10, generator=G)
Y = X @ torch.randn(10, 1, generator=G) + 2.0 * torch.randn(2048, 1, generator=G)

saved_bytes = part_of_probes("_memory_use").saved_bytes
GradientNoise = part_of_probes("_noise_scale").GradientNoise
microbatches = part_of_probes("_noise_scale").microbatches


def number(observation: Observation, name: str) -> float:
    value = observation.value(name)
    assert isinstance(value, (int, float)), f"{name}: {observation.absent} {observation.missed}"
    return float(value)


def linear() -> nn.Module:
    return nn.Linear(10, 1)


def test_the_noise_scale_is_near_that_of_all_per_sample_gradients() -> None:
    audited = target(linear, X, Y, nn.MSELoss(), batch_size=64, shuffle=False)
    batch = (X, Y)
    with seeded(0):
        bench = Bench(audited)
        noise = GradientNoise([], [])
        noise.add(bench, microbatches([batch], 8, 256))
        bench.backward(batch)
        error = (bench.model(X) - Y).detach()
        rows = torch.cat([2 * error * X, 2 * error], dim=1)
    mean = rows.mean(dim=0)
    variance = float((rows - mean).square().sum() / (len(rows) - 1))

    assert noise.variances[0] == pytest.approx(variance, rel=0.15)
    assert noise.squares[0] == pytest.approx(float(mean.square().sum()), rel=0.2)


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(10, 16), nn.Tanh(), nn.Linear(16, 3))


def conv() -> nn.Module:
    return nn.Sequential(nn.Unflatten(1, (1, 10)), nn.Conv1d(1, 8, 3), nn.ReLU(), nn.Flatten(),
                         nn.Linear(64, 3))


CLASSES = (X[:, :3] + 0.5 * torch.randn(2048, 3, generator=G)).argmax(dim=1)


@pytest.mark.parametrize(("make", "y", "loss"), [
    (linear, Y, nn.MSELoss()), (mlp, CLASSES, nn.CrossEntropyLoss()),
    (conv, CLASSES, nn.CrossEntropyLoss()),
], ids=["linear", "mlp", "conv"])
def test_the_noise_scale_is_within_twice_that_of_one_gradient_per_sample(
    make: Callable[[], nn.Module], y: Tensor, loss: nn.Module,
) -> None:
    """The second implementation takes every sample's gradient by itself."""
    audited = target(make, X, y, loss, optimizer=torch.optim.SGD, lr=1e-2, batch_size=64)
    variances, squares = [], []
    with seeded(0):
        bench = Bench(audited)
        noise = GradientNoise([], [])
        for point in range(3):
            for step in range(10):
                rows = slice(64 * (10 * point + step), 64 * (10 * point + step + 1))
                bench.step((X[rows], y[rows]))
            noise.add(bench, microbatches([(X, y)], 8, 24))
            parameters = list(bench.model.parameters())
            each = torch.stack([
                torch.cat([g.flatten() for g in torch.autograd.grad(
                    loss(bench.model(X[i : i + 1]), y[i : i + 1]), parameters)])
                for i in range(0, 2048, 4)])
            mean = each.mean(dim=0)
            variances.append(float((each - mean).square().sum() / (len(each) - 1)))
            squares.append(float(mean.square().sum()) - variances[-1] / len(each))

    assert 0.5 < noise.scale()[0] / (sum(variances) / sum(squares)) < 2.0


def test_small_batches_are_noise_and_large_ones_are_not() -> None:
    small, large = (
        observe("batch_size", target(linear, X, Y, nn.MSELoss(), lr=1e-2, batch_size=size))
        for size in (2, 1024))

    assert number(small, "noise_over_batch") > 4 * number(large, "noise_over_batch")
    assert number(large, "steps_per_epoch") == 2


def test_saved_memory_grows_in_a_straight_line() -> None:
    def mlp() -> nn.Module:
        return nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 1))

    with seeded(0):
        bench = Bench(target(mlp, X, Y, nn.MSELoss()))
        sizes = [saved_bytes(bench, (X[:n].clone(), Y[:n].clone())) for n in (2, 4, 64)]
    slope = (sizes[1] - sizes[0]) / 2

    assert sizes[2] == pytest.approx(sizes[0] + 62 * slope, rel=0.02)


def test_nothing_of_the_model_outlives_the_measurement_of_its_memory() -> None:
    def net() -> nn.Module:
        # The outputs of both activations are saved for their own backward pass.
        return nn.Sequential(nn.Linear(10, 8), nn.ReLU(), nn.Linear(8, 1), nn.Tanh())

    with seeded(0):
        bench = Bench(target(net, X, Y, nn.MSELoss()))
        weight = weakref.ref(next(bench.model.parameters()))
        saved_bytes(bench, (X[:4].clone(), Y[:4].clone()))
    del bench
    gc.collect()

    assert weight() is None


@pytest.fixture
def _a_step_takes_the_same_time_at_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    # What a machine really takes is not for tests.
    monkeypatch.setattr(part_of_probes("_throughput"), "_seconds", lambda *_: 1e-3)


@pytest.mark.usefixtures("_a_step_takes_the_same_time_at_any_size")
def test_the_table_holds_powers_of_two_with_scaled_rates() -> None:
    found = observe("batch_size", target(
        linear, X, Y, nn.MSELoss(), optimizer=torch.optim.SGD, lr=0.01, batch_size=64))
    rows = found.tables["batch_sizes"]
    assert isinstance(rows, list)
    rates = {row["batch_size"]: row["lr"] for row in rows if isinstance(row, dict)}

    assert rates[64] == 0.01
    assert rates[128] == pytest.approx(0.02)
    assert number(found, "fastest_batch") >= 64
    assert found.value("scaling_rule") == "linear"


def test_a_loss_that_compares_samples_has_no_noise_scale() -> None:
    class Contrast(nn.Module):
        def forward(self, output: Tensor, other: Tensor) -> Tensor:
            labels = torch.arange(len(output))
            return nn.functional.cross_entropy(output @ other.T, labels)

    found = observe("batch_size", target(
        lambda: nn.Linear(10, 10), X, X.clone(), Contrast(), batch_size=32))

    assert "noise_scale" in found.absent


@pytest.mark.usefixtures("_a_step_takes_the_same_time_at_any_size")
def test_a_larger_batch_is_tried_on_the_same_samples() -> None:
    tried = observe("batch_size", target(
        linear, X, Y, nn.MSELoss(), lr=5e-3, optimizer=torch.optim.SGD, batch_size=8))
    rows: Any = tried.tables["scaling_trial"]
    plain, scaled, warmed = rows

    assert tried.value("scaling_tried") is True
    assert plain["batch_size"] * plain["steps"] == scaled["batch_size"] * scaled["steps"]
    assert scaled["lr"] / plain["lr"] == scaled["batch_size"] / plain["batch_size"]
    assert (scaled["warmup"], warmed["warmup"]) == (False, True)
    # A convex problem far inside the stable range: the linear rule holds.
    assert number(tried, "scaling_lag") < 0.2


@pytest.mark.parametrize("gain", [1.2, 1.7])
def test_a_batch_that_is_hardly_faster_is_not_tried(
    monkeypatch: pytest.MonkeyPatch, gain: float,
) -> None:
    monkeypatch.setattr(
        part_of_probes("_throughput"), "_seconds",
        lambda _, batch: max(len(batch[0]) / (8.0 * gain), 1.0))
    tried = observe("batch_size", target(
        linear, X, Y, nn.MSELoss(), lr=5e-3, optimizer=torch.optim.SGD, batch_size=8))

    assert number(tried, "throughput_gain") == pytest.approx(gain)
    assert tried.value("scaling_tried") is (gain > 1.5)


def test_a_machine_that_was_busy_for_a_while_is_no_gain(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def seconds(_: Bench, batch: list[Tensor]) -> float:
        sizes.append(len(batch[0]))
        return (3.0 if len(sizes) <= 3 else 1.0) * (0.1 + len(batch[0]) / 160)

    monkeypatch.setattr(part_of_probes("_throughput"), "_seconds", seconds)
    found = observe("batch_size", target(
        linear, X, Y, nn.MSELoss(), lr=5e-3, optimizer=torch.optim.SGD, batch_size=8))
    best = number(found, "fastest_batch")

    assert sizes[:3] == [2, 4, 8]
    assert number(found, "throughput_gain") == pytest.approx(
        best / (0.1 + best / 160) / (8 / (0.1 + 8 / 160)))


@pytest.mark.usefixtures("_a_step_takes_the_same_time_at_any_size")
def test_a_rule_that_does_not_hold_is_seen() -> None:
    # Eight times this rate lies beyond 2 / (largest curvature), about 1.
    edge = target(linear, X, Y, nn.MSELoss(), lr=0.2, optimizer=torch.optim.SGD, batch_size=8)
    tried = observe("batch_size", edge)

    assert tried.value("fastest_batch") == 64
    assert number(tried, "scaling_lag") > 0.2


def test_a_batch_beyond_the_noise_scale_is_not_tried() -> None:
    calm = X @ torch.ones(10, 1)
    seen = observe("batch_size", target(linear, X, calm, nn.MSELoss(), lr=1e-2, batch_size=64))

    assert seen.value("scaling_tried") is False
    assert seen.value("scaling_lag") is None


def test_runs_that_were_cut_short_are_not_compared() -> None:
    class Hurried:
        user_lr, train = 1e-2, [(X[:8], Y[:8])] * 32

        def go(self, lr: float, steps: int, warmup_steps: int | None = None) -> Any:
            ended = "out-of-time" if warmup_steps else "finished"
            return part_of_probes("_track").Run(lr, [1.0], ended, (1.0,))

    with pytest.raises(OutOfTime, match="could not be finished"):
        part_of_probes("_scaling")._runs(Hurried(), 32, 4, 4e-2)


def test_a_gradient_that_is_all_noise_has_a_finite_lower_end() -> None:
    scale, low, high = GradientNoise([4.0, 4.0], [-0.2, -0.2], samples=128).scale()

    assert low == 128
    assert scale == high == float("inf")
