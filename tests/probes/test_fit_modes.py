"""Eval mode against training mode where the loss has other terms in each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from builders import observe, target
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from auditor.observation import Observation
from auditor.target import WithTrainingStep

G = torch.Generator().manual_seed(0)
X = 5 + torch.randn(960, 12, generator=G)
Y = (X @ torch.randn(12, 4, generator=G)).argmax(dim=1)


class Standardised(nn.Module):
    """Standardises its inputs: in both modes, or in training only."""

    def __init__(self, *, only_training: bool) -> None:
        super().__init__()
        self.only_training = only_training
        self.body = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 4))

    def forward(self, x: Tensor) -> Tensor:
        if self.training or not self.only_training:
            x = x - 5
        out: Tensor = self.body(x)
        return out


def mixed(model: nn.Module, batch: Any) -> Tensor:
    x, y = batch
    if not model.training:
        return F.cross_entropy(model(x), y)
    share, other = 0.9, torch.randperm(len(y))
    logits = model(share * x + (1 - share) * x[other])
    return share * F.cross_entropy(logits, y) + (1 - share) * F.cross_entropy(logits, y[other])


def softened(model: nn.Module, batch: Any) -> Tensor:
    """In training the loss counts half, beside a term that is small."""
    x, y = batch
    out = model(x)
    loss = F.cross_entropy(out, y)
    return 0.5 * loss + 0.001 * out.square().mean() if model.training else loss


def fit(step: Callable[[nn.Module, Any], Tensor], *, only_training: bool) -> Observation:
    return observe("fit", target(lambda: Standardised(only_training=only_training), X, Y, lr=3e-3,
                                 compute=WithTrainingStep(step)))


def number(found: Observation, name: str) -> float:
    value = found.value(name)
    assert isinstance(value, (int, float)), (name, found.missed)
    return float(value)


def test_another_model_in_eval_mode_is_seen_where_training_mixes_samples() -> None:
    found = fit(mixed, only_training=True)

    assert number(found, "eval_mode_excess") > 0.07
    assert number(found, "eval_mode_excess_z") > 2


@pytest.mark.parametrize("step", [mixed, softened])
def test_other_terms_in_training_alone_are_no_other_model(step: Any) -> None:
    found = fit(step, only_training=False)

    assert number(found, "eval_mode_excess") <= 0.07 or number(found, "eval_mode_excess_z") <= 2


def test_a_contrast_that_puts_the_right_candidate_first_is_told_in_its_first_loss() -> None:
    def ranked(model: nn.Module, batch: Any) -> Tensor:
        x, y = batch
        scores = model(x).gather(1, (y[:, None] + torch.arange(4)) % 4)
        return F.cross_entropy(scores, torch.zeros_like(y))

    found = fit(ranked, only_training=False)

    assert found.value("fit_scale_known") is False
    assert 0 < number(found, "fit_level") < 1
