"""The loss before training of models that are told the classes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from builders import observe, target
from torch import Tensor, nn
from torch.nn import functional

from auditor.observation import Observation
from auditor.target import WithTrainingStep

SCALE, MARGIN, CLASSES = 24.0, 0.5, 6


class Margin(nn.Module):
    """Lowers the true class's similarity by an angle, as ArcFace does."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(8, 32)
        self.classes = nn.Parameter(torch.randn(CLASSES, 32))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        near = functional.normalize(self.body(x)) @ functional.normalize(self.classes).T
        angle = torch.acos(near.clamp(-0.999, 0.999))
        own = functional.one_hot(y.clamp_min(0), CLASSES).bool()
        return SCALE * torch.where(own, torch.cos(angle + MARGIN), near)


class Loud(nn.Module):
    """Is told the classes and begins far from equal odds all the same."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.told = nn.Linear(8, CLASSES), nn.Embedding(CLASSES, CLASSES)
        nn.init.normal_(self.body.weight, std=20.0)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        logits: Tensor = self.body(x) + self.told(y)
        return logits


class Deaf(Loud):
    """Begins as far from them and is told nothing."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        logits: Tensor = self.body(x)
        return logits


class Lowered(Deaf):
    """Begins as far from them, and lowers the true class's logit."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        own = functional.one_hot(y.clamp_min(0), CLASSES)
        logits: Tensor = self.body(x) - 10 * own
        return logits


def start(make_model: type[nn.Module], y: Tensor, **loss: Any) -> Observation:
    def step(model: nn.Module, batch: Any) -> Tensor:
        return functional.cross_entropy(model(*batch), batch[1], **loss)

    x = torch.randn(len(y), 8, generator=torch.Generator().manual_seed(0))
    return observe("initial_loss", target(make_model, x, y, compute=WithTrainingStep(step)))


def labels() -> Tensor:
    return torch.randint(CLASSES, (320,), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("make_model", [Margin, Lowered])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_where_the_loss_of_a_margin_starts_is_not_judged(
    make_model: type[nn.Module], reduction: str,
) -> None:
    seen = start(make_model, labels(), reduction=reduction)

    assert seen.status == "not-applicable"
    assert "margin" in seen.reason


def test_samples_that_are_left_out_hold_no_margin_and_do_not_hide_it() -> None:
    y = labels()
    y[::3] = -100

    assert "margin" in start(Margin, y).reason


@pytest.mark.parametrize("make_model", [Loud, Deaf])
def test_a_bad_start_stays_one(make_model: type[nn.Module]) -> None:
    assert float(start(make_model, labels()).value("initial_loss_ratio") or 0) > 3.0


def test_where_there_is_one_class_there_is_no_other_to_tell() -> None:
    one_class = torch.zeros(320, dtype=torch.long)

    assert float(start(Margin, one_class).value("initial_loss_ratio") or 0) > 3.0
