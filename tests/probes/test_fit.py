"""The fit probe and its parts on small tensors."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from builders import observe, part_of_probes, target
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it
from torch.utils.data import DataLoader, TensorDataset

from auditor.observation import Measurement, Observation
from auditor.probe import Notebook, ProbeContext
from auditor.store import BatchStore
from auditor.target import WithTrainingStep
from auditor.trial import Bench

FEATURES, CLASSES = 20, 4

Fit = part_of_probes("fit").Fit
gradient_shares = part_of_probes("_gradient_shares").gradient_shares


def data(samples: int, seed: int, noise: float = 0.0) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    truth = torch.randn(FEATURES, CLASSES, generator=torch.Generator().manual_seed(9))
    x = torch.randn(samples, FEATURES, generator=g)
    y = (x @ truth).argmax(dim=1)
    wrong = torch.rand(samples, generator=g) < noise
    return x, torch.where(wrong, torch.randint(0, CLASSES, (samples,), generator=g), y)


def mlp(width: int = 64, *, middle: nn.Module | None = None) -> nn.Module:
    return nn.Sequential(nn.Linear(FEATURES, width), nn.ReLU(), middle or nn.Identity(),
                         nn.Linear(width, CLASSES))


def number(observation: Observation, name: str) -> float:
    value = observation.value(name)
    assert isinstance(value, (int, float)), f"{name}: {observation.absent} {observation.missed}"
    return float(value)


def test_learning_noisy_labels_by_heart_opens_a_gap_and_raises_validation() -> None:
    x, y = data(200, 0, noise=0.4)
    found = observe("fit", target(lambda: mlp(256), x, y, lr=1e-2, val=data(400, 1, noise=0.4)))

    assert number(found, "fit_gap") > 0.3
    assert number(found, "val_rise_z") > 4
    assert number(found, "fit_best_step") < number(found, "fit_steps")


def test_enough_clean_data_leave_no_gap() -> None:
    found = observe("fit", target(mlp, *data(3000, 0), lr=3e-3, val=data(600, 1)))

    assert number(found, "fit_gap") < 0.08
    assert number(found, "val_rise") < 0.03
    assert abs(number(found, "early_val_excess")) < 0.1
    assert number(found, "eval_mode_excess") == pytest.approx(0, abs=1e-6)


def test_a_run_that_learns_with_validation_close_behind_is_not_made_to_its_end() -> None:
    def fit(noise: float) -> Observation:
        return observe("fit", target(mlp, *apart(3000, 0, noise), lr=1e-2,
                                     val=apart(600, 1, noise)))

    known = fit(noise=0.0)
    assert 120 <= number(known, "fit_steps") < 400
    assert number(known, "fit_level") < 0.1
    assert number(fit(noise=0.4), "fit_steps") == 400


def apart(samples: int, seed: int, noise: float) -> tuple[Tensor, Tensor]:
    """Return classes that lie apart, with a share of wrong labels."""
    x, y = data(samples, seed)
    x = x + 6 * F.one_hot(y, FEATURES)
    wrong = torch.rand(samples, generator=torch.Generator().manual_seed(seed)) < noise
    return x, torch.where(wrong, (y + 1) % CLASSES, y)


def test_a_summed_loss_compares_batches_of_other_sizes() -> None:
    audited = target(mlp, *data(3000, 0), nn.CrossEntropyLoss(reduction="sum"), lr=3e-3)
    val = DataLoader(TensorDataset(*data(600, 1)), batch_size=200)
    found = observe("fit", replace(audited, make_val_loader=lambda: val))

    assert abs(number(found, "early_val_excess")) < 0.1
    assert number(found, "fit_gap") < 0.08


def test_a_summed_loss_with_a_second_summed_term_does_too() -> None:
    def step(model: nn.Module, batch: Any) -> Tensor:
        logits = model(batch[0])
        return torch.as_tensor(F.cross_entropy(logits, batch[1], reduction="sum")
                               + 0.01 * logits.square().sum())

    audited = target(mlp, *data(3000, 0), compute=WithTrainingStep(step), lr=3e-3)
    val = DataLoader(TensorDataset(*data(600, 1)), batch_size=200)
    found = observe("fit", replace(audited, make_val_loader=lambda: val))

    assert abs(number(found, "early_val_excess")) < 0.1


def test_evaluations_are_cut_with_the_steps() -> None:
    assert evaluating_passes(step_seconds=1e-4) > 900
    assert evaluating_passes(step_seconds=0.5) < 200


def evaluating_passes(step_seconds: float) -> int:
    asked: list[bool] = []

    class Counting(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            asked.append(self.training)
            return super().forward(x)

    audited = target(lambda: Counting(FEATURES, CLASSES), *data(4000, 0), batch_size=8,
                     val=data(2000, 1))
    note = Notebook(Fit.name, Fit.yields)
    Fit().run(ProbeContext(target=audited, batches=BatchStore(audited), note=note,
                           step_seconds=step_seconds, deadline=time.monotonic() + 50))
    assert note.observation().value("fit_val_loss") is not None
    return asked.count(False)


def test_without_validation_data_nothing_is_said_of_them() -> None:
    found = observe("fit", target(mlp, *data(600, 0)))

    assert "fit_gap" in found.absent
    assert number(found, "fit_level") < 1


def test_a_model_that_learns_nothing_is_seen_where_no_neighbours_can_be_asked() -> None:
    g = torch.Generator().manual_seed(0)
    x, y = torch.randn(1200, FEATURES, generator=g), torch.randint(0, 3, (1200,), generator=g)

    def blind(model: nn.Module, batch: Any) -> Tensor:
        inputs, labels = batch[0]
        loss: Tensor = F.cross_entropy(model(torch.zeros_like(inputs)), labels)
        return loss

    def loader(part: slice) -> DataLoader[Any]:
        pairs: Any = [((x[i], y[i]),) for i in range(1200)[part]]
        return DataLoader(pairs, batch_size=30)

    observation = observe("fit", replace(
        target(mlp, x[:900], y[:900], lr=1e-2, val=(x[900:], y[900:])),
        make_train_loader=lambda: loader(slice(900)),
        make_val_loader=lambda: loader(slice(900, None)), compute=WithTrainingStep(blind)))

    assert observation.value("neighbours_asked") is False
    assert number(observation, "fit_level") > 0.995
    assert number(observation, "fit_steps") >= 300
    assert "neighbours_score" not in {m.name for m in observation.measurements}


def test_a_loss_that_is_multiplied_is_measured_in_its_own_units() -> None:
    def step(factor: float) -> WithTrainingStep:
        return WithTrainingStep(lambda model, batch: factor * F.cross_entropy(
            model(batch[0]), batch[1]))

    x, y = data(300, 0, noise=0.3)
    plain, loud = (observe("fit", target(
        mlp, x, y, compute=step(factor), optimizer=torch.optim.Adam, lr=1e-2,
        val=data(300, 1, noise=0.3))) for factor in (1.0, 100.0))

    for name in ("fit_level", "fit_gap", "early_val_excess"):
        assert number(loud, name) == pytest.approx(number(plain, name), rel=0.1, abs=0.02)


class HandMade(nn.Module):
    """Dropout without its scale."""

    def forward(self, x: Tensor) -> Tensor:
        return x * (torch.rand_like(x) < 0.3) if self.training else x


def test_eval_mode_that_computes_something_else_is_worse_on_the_same_samples() -> None:
    x, y = data(900, 0, noise=0.2)
    found = observe("fit", target(lambda: mlp(middle=HandMade()), x, y, lr=1e-2,
                                  val=data(300, 1)))

    assert number(found, "eval_mode_excess") > 0.1


class Lagging(nn.Module):
    """Statistics that every step leaves behind, and that catch up while the weights stay."""

    late: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("late", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x + self.late
        self.late.copy_(torch.tensor(3.0) if torch.is_grad_enabled() else 0.8 * self.late)
        return x


def test_running_statistics_that_lag_behind_the_weights_are_no_other_model() -> None:
    x, y = data(900, 0, noise=0.2)
    found = observe("fit", target(lambda: mlp(middle=Lagging()), x, y, lr=1e-2,
                                  val=data(300, 1)))

    assert number(found, "eval_mode_excess") < 0.01


def test_validation_labels_of_another_numbering_are_far_off_in_the_first_epoch() -> None:
    val_x, val_y = data(400, 1)
    found = observe("fit", target(mlp, *data(2000, 0), lr=1e-2,
                                  val=(val_x, (val_y + 1) % CLASSES)))

    assert number(found, "early_val_excess") > 0.3
    assert number(found, "early_val_excess_z") > 4


def test_the_hardest_samples_are_those_with_wrong_labels() -> None:
    x, y = data(480, 0)
    wrong = {3, 100, 251, 400}
    for index in wrong:
        y[index] = (y[index] + 2) % CLASSES
    found = observe("fit", target(mlp, x, y, lr=3e-3, shuffle=False))
    rows: Any = found.tables["hardest_samples"]
    shown = {row["index"] for row in rows}

    assert len(wrong & shown) >= 3
    assert all(row["loss"] > 0 and row["target"] != row["prediction"] for row in rows[:3])


def test_pictures_come_with_image_samples() -> None:
    g = torch.Generator().manual_seed(0)
    x, y = torch.rand(300, 1, 28, 28, generator=g), torch.arange(300) % CLASSES
    found = observe("fit", target(
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, CLASSES)), x, y))
    rows: Any = found.tables["hardest_samples"]

    assert len(rows[0]["picture"]) == len(rows[0]["picture"][0]) == 16


def focal(logits: Tensor, labels: Tensor, *, easy_first: bool) -> Tensor:
    """Weigh each sample by a power of its probability, the right way round or the wrong one."""
    losses = F.cross_entropy(logits, labels, reduction="none")
    likelihood = (-losses).exp()
    weights = likelihood if easy_first else 1 - likelihood
    return (weights ** 2 * losses).mean()


@pytest.mark.parametrize("easy_first", [False, True])
def test_shares_of_the_gradient_match_those_of_separate_backward_passes(
    easy_first: bool,
) -> None:
    x, labels = data(400, 0, noise=0.2)
    loss = partial(focal, easy_first=easy_first)
    bench = Bench(target(mlp, x, labels, loss))
    read = [(x[:100], labels[:100]), (x[100:], labels[100:])]
    losses, norms = [], []
    for row, label in zip(bench.model(x).detach(), labels, strict=True):
        own = row[None].requires_grad_()
        norms.append(float(torch.autograd.grad(loss(own, label[None]), own)[0].norm()))
        losses.append(float(F.cross_entropy(own, label[None]).detach()))
    order = sorted(range(400), key=lambda i: losses[i])
    total = sum(norms)
    shares = gradient_shares(bench, read, 0)

    assert shares is not None
    assert shares[0] == pytest.approx(sum(norms[i] for i in order[-40:]) / total, rel=1e-4)
    assert shares[1] == pytest.approx(sum(norms[i] for i in order[-4:]) / total, rel=1e-4)
    assert all(module.training for module in bench.model.modules())
    assert all(parameter.grad is None for parameter in bench.model.parameters())


def smallest_half(logits: Tensor, labels: Tensor) -> Tensor:
    losses = F.cross_entropy(logits, labels, reduction="none")
    return losses.topk(len(losses) // 2, largest=False).values.mean()


def test_mining_the_wrong_way_round_leaves_no_gradient_to_the_hard_samples() -> None:
    x, y = data(2000, 0, noise=0.1)
    wrong, right = (number(observe("fit", target(mlp, x, y, loss)), "hard_gradient_share")
                    for loss in (smallest_half, partial(focal, easy_first=False)))

    assert wrong < 0.01
    assert right > 0.2


def test_an_absolute_error_gives_every_sample_the_same_gradient() -> None:
    x, _ = data(2000, 0)
    found = observe("fit", target(lambda: nn.Linear(FEATURES, 1), x, x[:, :1].exp(), nn.L1Loss()))

    assert number(found, "hard_gradient_share") == pytest.approx(0.1, abs=0.005)


def test_soft_targets_do_not_say_which_samples_are_hard() -> None:
    x, y = data(2000, 0)
    soft = 0.6 * F.one_hot(y, CLASSES) + 0.4 * torch.rand(len(y), CLASSES).softmax(dim=1)

    assert "hard_gradient_share" in observe("fit", target(mlp, x, soft)).absent


def test_a_run_that_learns_nothing_is_not_made_to_its_end_where_the_rates_have_said_why() -> None:
    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.logits = nn.Parameter(torch.zeros(CLASSES))

        def forward(self, x: Tensor) -> Tensor:
            return self.logits.expand(len(x), CLASSES)

    audited = target(Constant, *data(3000, 0), val=data(600, 1))
    no_rate = Observation("learning_rate", measurements=(Measurement("best_descent", 0.01),))
    some_rate = Observation("learning_rate", measurements=(Measurement("best_descent", 0.8),))

    assert number(observe("fit", audited, earlier=[no_rate]), "fit_steps") < 200
    assert number(observe("fit", audited, earlier=[some_rate]), "fit_steps") == 400
