"""The probe of what the inputs tell of the targets, and a user's model that fails on its way."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from builders import observe, part_of_probes, target
from tables import CLASSES, N, mlp, number, table
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from auditor.errors import TargetError
from auditor.observation import Observation
from auditor.target import Target, WithTrainingStep


class RaisesInEval(nn.Module):
    """Raises in eval mode from a pass on.

    Args:
        first: That pass, counted from zero.
    """

    def __init__(self, first: int) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 3)
        self.first, self.passes = first, 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += not self.training
        if self.passes > self.first:
            raise RuntimeError("no such table")
        return self.fc(x)  # type: ignore[no-any-return]


def without_information(first: int) -> Target:
    """Return a target whose labels are drawn, so that the probe has to train and to judge."""
    drawn = torch.Generator().manual_seed(0)
    x, y = torch.randn(600, 6, generator=drawn), torch.randint(0, 3, (600,), generator=drawn)
    return target(lambda: RaisesInEval(first), x, y)


def test_a_model_that_cannot_be_evaluated_is_not_judged_and_the_reason_is_told() -> None:
    found = observe("information", without_information(0))

    assert "no such table" in found.absent["unseen_skill_high"]
    assert "no such table" in found.absent["learned_skill"]
    assert isinstance(found.value("dependence_p"), float)


def test_a_single_failing_evaluation_is_not_passed_over() -> None:
    with pytest.raises(TargetError, match="no such table"):
        observe("information", without_information(5))


@pytest.mark.parametrize("shuffled", [True, False])
def test_shuffled_numbers_are_learned_by_heart_only(shuffled: bool) -> None:
    g = torch.Generator().manual_seed(3)
    x = torch.randn(900, 16, generator=g)
    y = (x[:, :1] * x[:, 1:2] + x[:, 2:3]).tanh()
    y[:400] = y[:400][torch.randperm(400, generator=g)] if shuffled else y[:400]

    def net() -> nn.Module:
        return nn.Sequential(nn.Linear(16, 128), nn.ReLU(), nn.Linear(128, 1))

    seen = observe("information", target(
        net, x[:400], y[:400], nn.MSELoss(), lr=1e-2, val=(x[400:], y[400:])))
    p, learned, unseen = (float(seen.value(name) or 0) for name in (
        "dependence_p", "learned_skill", "unseen_skill_high"))

    assert (p > 0.01 and learned > 0.5 and unseen < 0.15) is shuffled


def test_a_constant_target_is_told_from_an_idle_one() -> None:
    x, _ = table()
    y = torch.ones(N, 1)
    constant = observe("information", target(lambda: mlp(1), x, y, nn.MSELoss()))

    def step(model: nn.Module, batch: Any) -> Tensor:
        return F.mse_loss(model(batch[0]), batch[0][:, :1])

    idle: Target = target(lambda: mlp(1), x, y, compute=WithTrainingStep(step))

    assert constant.value("target_is_constant") is True
    assert observe("information", idle).value("target_is_constant") is False


def test_shuffled_labels_are_learned_by_heart_only() -> None:
    x, y = table(samples=1200)
    x = torch.cat([x, torch.randn(1200, 30, generator=torch.Generator().manual_seed(3))], dim=1)

    def wide() -> nn.Module:
        return nn.Sequential(nn.Linear(36, 256), nn.ReLU(), nn.Linear(256, CLASSES))

    random = y[torch.randperm(1200, generator=torch.Generator().manual_seed(4))]
    true, shuffled = (
        observe("information", target(wide, x, labels, lr=1e-2, val=(x[800:], labels[800:])))
        for labels in (y, random))

    assert number(true, "dependence_p") <= 0.001
    assert number(shuffled, "dependence_p") > 0.001
    assert number(shuffled, "learned_skill") > 0.5


def test_labels_that_are_slow_to_learn_by_heart_get_more_rounds() -> None:
    x = torch.randn(1200, 36, generator=torch.Generator().manual_seed(0))
    y = torch.randint(0, CLASSES, (1200,), generator=torch.Generator().manual_seed(1))
    found = observe("information", target(
        lambda: nn.Sequential(nn.Linear(36, 128), nn.ReLU(), nn.Linear(128, CLASSES)), x, y,
        lr=3e-4, val=(-x[:400], y[400:800])))

    assert number(found, "learned_skill") > 0.5
    assert number(found, "unseen_skill_high") < 0.15


@pytest.mark.parametrize(("slope", "low", "high"), [(0.14, 0.001, 0.01), (1.0, 0.0, 0.001)])
def test_further_permutations_tell_a_weak_dependence_from_luck(
    slope: float, low: float, high: float,
) -> None:
    g = torch.Generator().manual_seed(1)
    x = torch.randn(600, 10, generator=g)
    y = slope * x[:, 0] + torch.randn(600, generator=g)

    # The least that 199 permutations can show is 0.01.
    assert low < part_of_probes("_dependence").dependence([x], y, classes=False, seed=0) <= high
    assert part_of_probes("_dependence").dependence(
        [x], y[torch.randperm(600, generator=g)], classes=False, seed=0) > 0.01


def sentences(kinds: int) -> tuple[Tensor, Tensor, torch.Generator]:
    drawn = torch.Generator().manual_seed(0)
    which = torch.randint(kinds, (1600,), generator=drawn)
    orders = torch.stack([torch.randperm(4, generator=drawn) for _ in range(kinds)])
    return orders[which] + 4 * (which // 24)[:, None], which, drawn


def asked(x: Tensor, y: Tensor) -> Observation:
    return observe("information", target(
        lambda: nn.Sequential(nn.Embedding(4000, 8), nn.Flatten(), nn.Linear(32, 3)), x, y))


def test_many_different_tokens_are_not_judged() -> None:
    x, _, drawn = sentences(1500)
    observation = asked(x, torch.randint(3, (1600,), generator=drawn))

    assert "tokens" in observation.absent["dependence_p"]
    assert "tokens" in observation.absent["group_share_high"]


def test_few_different_tokens_with_labels_that_go_with_none_of_them() -> None:
    x, _, _ = sentences(12)
    observation = asked(x, torch.randint(3, (1600,), generator=torch.Generator().manual_seed(7)))

    assert observation.value("inputs_repeat") is True
    assert number(observation, "dependence_p") > 0.05
    assert number(observation, "group_share_high") < 0.01


@pytest.mark.parametrize("part", [1.0, 0.3])
def test_few_different_tokens_whose_order_alone_tells_the_label(part: float) -> None:
    x, which, drawn = sentences(24)
    noise = torch.randint(3, (1600,), generator=drawn)
    y = torch.where(torch.rand(1600, generator=drawn) < part, which % 3, noise)
    observation = asked(x, y)

    assert number(observation, "dependence_p") < 0.05
    assert number(observation, "group_share_high") > 0.05


@pytest.mark.parametrize("in_order", [True, False])
def test_samples_that_come_class_by_class_do_not_tell_what_later_ones_are(in_order: bool) -> None:
    g = torch.Generator().manual_seed(0)
    x, y = torch.randn(600, 6, generator=g), torch.arange(600) // 200
    order = torch.arange(600) if in_order else torch.randperm(600, generator=g)
    audited = target(mlp, x, y[order], shuffle=False)
    found = observe("information", audited, earlier=[observe("data", audited)])

    assert (found.value("learned_skill") is None) == in_order
