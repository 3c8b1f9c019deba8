"""The loss's own scatter."""

from __future__ import annotations

import pytest
import torch
from builders import observe, target
from torch import nn

from auditor.target import Target


def setup(model: nn.Module) -> Target:
    g = torch.Generator().manual_seed(0)
    x, y = torch.randn(640, 8, generator=g), torch.randint(0, 4, (640,), generator=g)

    def make() -> nn.Module:
        for module in model.modules():
            if isinstance(module, nn.Linear):
                module.reset_parameters()
        return model

    made: Target = target(make, x, y)
    return made


def test_without_dropout_a_repeated_pass_gives_the_same_loss() -> None:
    seen = observe("noise", setup(nn.Linear(8, 4)))

    assert seen.value("loss_pass_noise") == 0.0
    assert float(seen.value("loss_seed_noise") or 0) > 0


def test_dropout_makes_passes_differ() -> None:
    seen = observe("noise", setup(nn.Sequential(nn.Dropout(0.5), nn.Linear(8, 4))))

    assert float(seen.value("loss_pass_noise") or 0) > 0


def test_batch_noise_is_the_spread_over_batches() -> None:
    audited = setup(nn.Linear(8, 4))
    seen = observe("noise", audited)

    # A batch of 32 losses with a standard deviation of about 0.5 each: 0.5 / sqrt(32) = 0.09.
    assert float(seen.value("loss_batch_noise") or 0) == pytest.approx(0.09, rel=0.8)
