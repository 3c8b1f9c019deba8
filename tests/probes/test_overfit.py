"""Learning a handful of samples by heart."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import pytest
import torch
from builders import observe, target
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from auditor.observation import Observation
from auditor.target import LossResult

overfit = import_module("auditor.probes.overfit")
subset = import_module("auditor.probes._subset").subset


def samples(classes: int = 4) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    return torch.randn(128, 8, generator=g), torch.randint(0, classes, (128,), generator=g)


def mlp(outputs: int = 4, dropout: float = 0.0) -> nn.Module:
    return nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Dropout(dropout), nn.Linear(64, outputs))


def zeros() -> nn.Module:
    model = mlp()
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    return model


LOSSES: dict[str, Any] = {
    "plain": nn.CrossEntropyLoss(),
    "smoothed": nn.CrossEntropyLoss(label_smoothing=0.2),
    "weighted": nn.CrossEntropyLoss(weight=torch.tensor([1.0, 9.0, 1.0, 0.1])),
    "summed": nn.CrossEntropyLoss(reduction="sum"),
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_working_model_learns_random_labels_by_heart(loss: Any, seed: int) -> None:
    seen = observe("overfit", target(mlp, *samples(), loss, lr=1e-2), seed=seed)

    assert seen.value("floor_known") is True
    assert float(seen.value("overfit_progress") or 0) >= 0.8
    assert seen.steps <= 80


def test_a_rate_that_may_be_the_fault_leaves_the_question_open() -> None:
    late = Observation("learning_rate", status="failed", reason="time budget used up")
    slow, alone = (observe("overfit", target(mlp, *samples(), lr=1e-6), earlier=earlier)
                   for earlier in ([late], []))

    assert "no other one was found" in slow.missed["overfit_progress"]
    assert float(alone.value("overfit_progress") or 0) < 0.1


def test_zero_weights_learn_nothing_but_the_bias() -> None:
    seen = observe("overfit", target(zeros, *samples(), lr=1e-2))

    assert float(seen.value("overfit_progress") or 0) < 0.1
    assert seen.value("passes_without_dropout") is False


def test_brakes_that_are_not_there_are_not_taken_off() -> None:
    without, both = (observe("overfit", target(
        lambda p=p: nn.Sequential(zeros(), nn.Dropout(p)), *samples(), lr=1e-2,  # type: ignore[misc]
        optimizer=partial(torch.optim.AdamW, weight_decay=decay)))
        for p, decay in ((0.0, 0.0), (0.1, 0.1)))

    assert without.steps < both.steps
    assert without.value("passes_without_decay") is both.value("passes_without_decay") is False


def test_a_regression_is_measured_against_its_variance() -> None:
    x, _ = samples()
    y = x[:, :1] * x[:, 1:2]
    seen = observe("overfit", target(partial(mlp, 1), x, y, nn.MSELoss(), lr=1e-2))

    assert float(seen.value("overfit_progress") or 0) >= 0.8
    assert seen.value("majority_share") == 0.0


def test_a_crushing_weight_decay_is_shown_as_the_cause() -> None:
    seen = observe("overfit", target(
        mlp, *samples(), lr=1e-2, optimizer=partial(torch.optim.AdamW, weight_decay=50.0)))

    assert float(seen.value("overfit_progress_user") or 0) < 0.6
    assert seen.value("passes_without_decay") is True


def test_heavy_dropout_does_not_hide_what_was_learned() -> None:
    def drowned() -> nn.Module:
        return nn.Sequential(nn.Linear(8, 64), nn.ReLU(), *[nn.Dropout(0.8)] * 3, nn.Linear(64, 4))

    seen = observe("overfit", target(drowned, *samples(), lr=1e-3))

    assert float(seen.value("overfit_progress") or 0) >= 0.6


def noisy(model: nn.Module, batch: Any) -> LossResult:
    noise = torch.randn_like(batch[0])
    return LossResult(F.mse_loss(model(batch[0] + noise), noise), None)


def two_terms(model: nn.Module, batch: Any) -> LossResult:
    out = model(batch[0])
    return LossResult(F.cross_entropy(out, batch[1]) + 0.1 * out.square().mean(), None)


def own_formula(model: nn.Module, batch: Any) -> LossResult:
    return LossResult((model(batch[0]) - batch[0]).cosh().log().mean(), None)


@pytest.mark.parametrize(("compute", "outputs"), [(noisy, 8), (two_terms, 4), (own_formula, 8)])
def test_losses_with_an_irreducible_part_are_only_asked_for_a_fall(
    compute: Callable[..., LossResult], outputs: int,
) -> None:
    seen = observe("overfit", target(partial(mlp, outputs), *samples(), compute=compute, lr=1e-2))

    assert seen.value("floor_known") is False
    assert float(seen.value("overfit_progress") or 0) > 0.2


def test_equal_targets_are_not_applicable() -> None:
    x, y = samples()

    assert observe("overfit", target(mlp, x, torch.zeros_like(y))).status == "not-applicable"


def test_the_subset_takes_each_class_in_turn_even_from_sorted_data() -> None:
    x, y = samples()
    y = y.sort().values
    y[:100] = 0

    chosen = subset([(x[:64], y[:64]), (x[64:], y[64:])])

    assert len(chosen[0]) == 16
    assert set(chosen[1].tolist()) == set(y.tolist())


def test_ragged_batches_are_cut_from_the_first() -> None:
    chosen = subset([torch.zeros(40, 7), torch.zeros(40, 9)])

    assert chosen.shape == (16, 7)


@pytest.mark.parametrize("steps", [0, 17, 39])
def test_a_try_that_the_clock_cuts_short_says_nothing_of_what_can_be_learned(
    steps: int, monkeypatch: pytest.MonkeyPatch,
) -> None:
    attempt = overfit.attempt

    def cut(context: Any, only: Any, marks: Any, wanted: int, *rest: Any) -> Any:
        found = attempt(context, only, marks, min(wanted, steps), *rest)
        found.is_cut = True
        return found

    monkeypatch.setattr(overfit, "attempt", cut)
    seen = observe("overfit", target(partial(mlp, dropout=0.5), *samples(), lr=1e-6))

    assert "time was up" in seen.missed["overfit_progress"]
    assert "time was up" in seen.missed["passes_without_dropout"]
    assert seen.value("passes_without_decay") is False


def test_a_loss_that_is_no_number_says_nothing_of_what_can_be_learned() -> None:
    seen = observe("overfit", target(mlp, *samples(), lambda y, t: (y - y).mean() / 0.0))

    assert "not finite" in seen.missed["overfit_progress"]
    assert seen.value("overfit_progress") is None
