"""The task behind a loss, its score and its marks, against slow and independent ways."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from auditor import task
from auditor.losscall import LossCall, LossCalls
from auditor.recorder import watching


def calls_of(loss: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor) -> list[LossCall]:
    listener = LossCalls()
    with watching(nn.Identity(), listener):
        try:
            loss(x, y)
        except (ValueError, RuntimeError):
            pass
    return listener.calls


def call_of(loss: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor) -> LossCall:
    (call,) = calls_of(loss, x, y)
    return call


def scored(loss: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor) -> list[Any]:
    return list(task.score(call_of(loss, x, y)) or ())


def minimised(loss: Callable[[Tensor], Tensor], shape: tuple[int, ...], start: float) -> float:
    """Return the smallest loss over a free tensor, by brute force."""
    free = torch.full(shape, start, requires_grad=True)
    optimizer = torch.optim.LBFGS([free], lr=0.5, max_iter=2000, tolerance_change=0.0,
                                  line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss(free)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    for _ in range(5):
        optimizer.step(closure)  # type: ignore[no-untyped-call]
    return float(loss(free.detach()))


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def classes(*shape: int, count: int = 5) -> Tensor:
    return (torch.rand(*shape).square() * count).long()


CLASS_LOSSES: dict[str, Any] = {
    "plain": {},
    "weighted": {"weight": torch.tensor([1.0, 5.0, 0.2, 2.0, 1.0])},
    "smoothed": {"label_smoothing": 0.1},
    "smoothed and weighted": {"label_smoothing": 0.2,
                              "weight": torch.tensor([1.0, 5.0, 0.2, 2.0, 1.0])},
    "ignoring": {"ignore_index": 0},
    "summed": {"reduction": "sum"},
}


@pytest.mark.parametrize("settings", CLASS_LOSSES.values(), ids=CLASS_LOSSES)
def test_uninformed_cross_entropy_is_the_best_constant_logits(settings: dict[str, Any]) -> None:
    y = classes(200)
    loss = nn.CrossEntropyLoss(**settings)

    found = task.uninformed_loss([call_of(loss, torch.randn(200, 5), y)])

    brute = minimised(lambda free: loss(free.expand(200, 5), y), (5,), 0.0)
    assert found == pytest.approx(brute, rel=1e-3)


def test_uninformed_cross_entropy_of_balanced_classes_is_log_c() -> None:
    y = torch.arange(100) % 10

    found = task.uninformed_loss([call_of(nn.CrossEntropyLoss(), torch.randn(100, 10), y)])

    assert found == pytest.approx(math.log(10), rel=1e-5)


ELEMENTWISE: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], bool]] = {
    "mse": (nn.MSELoss(), False),
    "l1": (nn.L1Loss(), False),
    "smooth l1": (nn.SmoothL1Loss(beta=0.5), False),
    "huber": (nn.HuberLoss(delta=0.3), False),
    "mse summed": (nn.MSELoss(reduction="sum"), False),
    "bce logits": (nn.BCEWithLogitsLoss(), True),
    "bce logits weighted": (nn.BCEWithLogitsLoss(pos_weight=torch.tensor([1.0, 4.0, 9.0])), True),
    "multilabel": (nn.MultiLabelSoftMarginLoss(), True),
}


@pytest.mark.parametrize(("loss", "binary"), ELEMENTWISE.values(), ids=ELEMENTWISE)
def test_uninformed_elementwise_loss_is_the_best_constant_per_column(
    loss: Callable[[Tensor, Tensor], Tensor], binary: bool,
) -> None:
    y = (torch.rand(300, 3) < torch.tensor([0.5, 0.2, 0.1])).float() if binary else (
        torch.randn(300, 3).exp())

    found = task.uninformed_loss([call_of(loss, torch.randn(300, 3), y)])

    brute = minimised(lambda free: loss(free.expand(300, 3), y), (3,), 0.5)
    assert found == pytest.approx(brute, rel=1e-3)


def test_uninformed_mse_is_the_variance_and_l1_the_deviation_from_the_median() -> None:
    y = torch.randn(501, 1).exp()

    squared = task.uninformed_loss([call_of(nn.MSELoss(), torch.zeros(501, 1), y)])
    absolute = task.uninformed_loss([call_of(nn.L1Loss(), torch.zeros(501, 1), y)])

    assert squared == pytest.approx(float(y.var(unbiased=False)), rel=1e-4)
    assert absolute == pytest.approx(float((y - y.median()).abs().mean()), rel=1e-4)


def test_targets_of_several_batches_are_pooled() -> None:
    one, other = torch.zeros(50).long(), torch.ones(50).long()
    loss = nn.CrossEntropyLoss()

    found = task.uninformed_loss([call_of(loss, torch.randn(50, 2), y) for y in (one, other)])

    assert found == pytest.approx(math.log(2), rel=1e-5)


def test_contrastive_losses_have_neither_constant_nor_floor() -> None:
    call = call_of(nn.CrossEntropyLoss(), torch.randn(16, 16), torch.arange(16).roll(8))

    assert task.uninformed_loss([call]) is None
    assert task.loss_floor(call) is None


SOFT = torch.softmax(torch.randn(40, 5, generator=torch.Generator().manual_seed(3)), dim=1)
FLOORS: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], Tensor]] = {
    **{f"cross-entropy {name}": (nn.CrossEntropyLoss(**settings), torch.arange(40) % 5)
       for name, settings in CLASS_LOSSES.items()},
    "cross-entropy soft": (nn.CrossEntropyLoss(), SOFT),
    "bce soft": (nn.BCEWithLogitsLoss(), SOFT),
    "bce soft, weighted": (nn.BCEWithLogitsLoss(pos_weight=torch.tensor(3.0)), SOFT),
    "mse": (nn.MSELoss(), SOFT),
    "poisson": (nn.PoissonNLLLoss(), SOFT),
}


@pytest.mark.parametrize(("loss", "y"), FLOORS.values(), ids=FLOORS)
def test_the_floor_is_what_a_free_input_reaches(
    loss: Callable[[Tensor, Tensor], Tensor], y: Tensor,
) -> None:
    found = task.loss_floor(call_of(loss, torch.randn(40, 5), y))

    brute = minimised(lambda free: loss(free, y), (40, 5), 0.1)
    assert found == pytest.approx(brute, abs=2e-3, rel=1e-3)


def test_the_floor_of_probabilities_into_bce_is_zero_for_hard_targets() -> None:
    call = call_of(nn.BCELoss(), torch.rand(40, 1), (torch.rand(40, 1) < 0.3).float())

    assert task.loss_floor(call) == 0.0


def test_raw_scores_into_nll_have_no_floor() -> None:
    scores = torch.randn(40, 5)

    assert task.loss_floor(call_of(nn.NLLLoss(), scores, classes(40))) is None
    assert task.loss_floor(call_of(nn.NLLLoss(), scores.log_softmax(1), classes(40))) == 0.0


def test_per_sample_losses_leave_ignored_positions_out() -> None:
    x, y = torch.randn(4, 7, 6), classes(4, 6)
    y[0, 2:] = -100

    found = task.per_sample_losses(call_of(nn.CrossEntropyLoss(), x, y))

    assert found is not None and found.shape == (4,)
    assert float(found[0]) == pytest.approx(float(F.cross_entropy(x[:1, :, :2], y[:1, :2])))


def test_per_sample_losses_average_to_the_mean_loss() -> None:
    x, y = torch.randn(8, 3, 5, 5), torch.randn(8, 3, 5, 5)

    found = task.per_sample_losses(call_of(nn.SmoothL1Loss(), x, y))

    assert found is not None and found.shape == (8,)
    assert float(found.mean()) == pytest.approx(float(F.smooth_l1_loss(x, y)))


def test_losses_with_further_inputs_have_no_values_per_sample() -> None:
    call = call_of(
        lambda x, y: F.triplet_margin_loss(x, x + 1, y), torch.randn(8, 3), torch.randn(8, 3))

    assert task.per_sample_losses(call) is None
    assert task.value(call) is None


def test_value_repeats_the_loss() -> None:
    x, y = torch.randn(30, 5), classes(30)
    loss = nn.CrossEntropyLoss(label_smoothing=0.1)

    assert task.value(call_of(loss, x, y)) == pytest.approx(float(loss(x, y)))


def test_accuracy_ignores_the_ignored_and_takes_the_largest_soft_target() -> None:
    x = torch.eye(4) * 3
    hard = torch.tensor([0, 1, 0, -100])
    soft = torch.eye(4)[[0, 1, 2, 0]]

    assert scored(nn.CrossEntropyLoss(), x, hard) == ["accuracy", pytest.approx(2 / 3)]
    assert scored(nn.CrossEntropyLoss(), x, soft) == ["accuracy", pytest.approx(0.75)]


def test_binary_accuracy_cuts_logits_at_zero_and_probabilities_at_one_half() -> None:
    y = torch.tensor([1.0, 0.0, 1.0, 0.0])
    logits = torch.tensor([0.2, -0.3, -0.1, 0.4])

    assert scored(nn.BCEWithLogitsLoss(), logits, y) == ["accuracy", 0.5]
    assert scored(nn.BCELoss(), logits.sigmoid(), y) == ["accuracy", 0.5]


def test_r2_is_zero_for_the_mean_and_one_for_the_target() -> None:
    y = torch.randn(50, 2)

    mean = scored(nn.MSELoss(), y.mean(dim=0).expand(50, 2), y)
    exact = scored(nn.MSELoss(), y, y)

    assert mean == ["R2", pytest.approx(0.0, abs=1e-6)]
    assert exact == ["R2", 1.0]


KINDS: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], Tensor, Tensor, str, int]] = {
    "images": (nn.CrossEntropyLoss(), torch.randn(8, 5), torch.arange(8) % 5, "classification", 5),
    "tokens": (nn.CrossEntropyLoss(), torch.randn(80, 5), classes(80), "language-model", 5),
    "tokens, unflattened": (nn.CrossEntropyLoss(), torch.randn(8, 5, 10), classes(8, 10),
                            "language-model", 5),
    "pixels": (nn.CrossEntropyLoss(), torch.randn(8, 5, 4, 4), classes(8, 4, 4),
               "segmentation", 5),
    "masks": (nn.BCEWithLogitsLoss(), torch.randn(8, 1, 4, 4),
              torch.randint(0, 2, (8, 1, 4, 4)) * 1.0, "segmentation", 2),
    "one logit": (nn.BCEWithLogitsLoss(), torch.randn(8, 1), torch.ones(8, 1), "binary", 2),
    "labels": (nn.BCEWithLogitsLoss(), torch.randn(8, 6), torch.ones(8, 6), "multilabel", 6),
    "pictures": (nn.BCELoss(), torch.rand(8, 60), torch.rand(8, 60), "regression", 60),
    "numbers": (nn.MSELoss(), torch.randn(8, 1), torch.randn(8, 1), "regression", 0),
    "pairs": (nn.CrossEntropyLoss(), torch.randn(8, 8), torch.arange(8), "metric", 8),
}


@pytest.mark.parametrize(("loss", "x", "y", "kind", "count"), KINDS.values(), ids=KINDS)
def test_the_kind_of_task_is_read_off_the_loss(
    loss: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor, kind: str, count: int,
) -> None:
    found = task.describe(calls_of(loss, x, y), samples=8)

    assert found is not None
    assert (found.kind, found.classes) == (kind, count)


def test_the_classifier_is_the_task_beside_a_distillation_loss() -> None:
    teacher = torch.randn(8, 5).softmax(dim=1)

    def loss(x: Tensor, y: Tensor) -> Tensor:
        return F.kl_div(x.log_softmax(1), teacher) + F.cross_entropy(x, y)

    found = task.describe(calls_of(loss, torch.randn(8, 5), classes(8)))

    assert found is not None and found.main.name == "cross_entropy"


def test_no_known_loss_is_no_task() -> None:
    calls = calls_of(lambda x, y: (x - y).square().mean(), torch.randn(8), torch.randn(8))

    assert task.describe(calls) is None


def test_a_call_that_raised_is_no_task() -> None:
    calls = calls_of(nn.CrossEntropyLoss(), torch.randn(8, 5), torch.randn(7))

    assert calls and task.describe(calls) is None
