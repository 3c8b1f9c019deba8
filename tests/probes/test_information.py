"""What the probe of the targets' information says when the user's model fails on its way."""

from __future__ import annotations

import pytest
import torch
from builders import observe, target
from torch import Tensor, nn

from auditor.errors import TargetError
from auditor.target import Target


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
