"""What the probe `layers` says of values that are not finite, and of float16."""

from __future__ import annotations

import pytest
import torch
from layer_cases import mlp, number, observed
from torch import Tensor, nn


def test_a_loss_that_breaks_names_the_operation() -> None:
    class Logarithm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = mlp(1)

        def forward(self, x: Tensor) -> Tensor:
            return torch.log(torch.relu(self.body(x)))

    observation = observed(Logarithm)

    assert observation.value("loss_is_finite") is False
    assert observation.value("fault_origin") == "log"
    assert observation.value("fault_step") == 0
    assert "gradient_is_finite" in observation.absent


def test_a_gradient_that_breaks_names_the_operation() -> None:
    class Root(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = mlp(1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.body(x)
            return x + torch.sqrt((x - x.detach()).square())

    observation = observed(Root)

    assert observation.value("loss_is_finite") is True
    assert observation.value("gradient_is_finite", "body.0.weight") is False
    assert observation.value("fault_origin") == "sqrt"


def test_of_several_readers_the_one_that_breaks_the_gradient_is_named() -> None:
    class Kept(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(32, 4)

        def forward(self, x: Tensor) -> Tensor:
            y = self.fc(x)
            return torch.where(y > 50, torch.sqrt(y), y)

    assert observed(Kept).value("fault_origin") == "sqrt"


@pytest.mark.parametrize("scaled_in", [torch.float16, torch.float32])
@pytest.mark.parametrize("scale", [1.0, 1e5])
def test_what_becomes_infinite_on_its_way_to_float16_is_an_overflow(
    scale: float, scaled_in: torch.dtype,
) -> None:
    class Halved(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = mlp(1), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            with torch.autocast("cpu", dtype=torch.float16):
                large: Tensor = self.head(self.body(x).to(scaled_in) * scale)
            return large.float() / scale

    seen = observed(Halved)

    assert (number(seen, "overflow_share", "head") > 0) is (scale > 1)
    assert number(seen, "underflow_share", "head") < 0.5


def test_float32_has_no_half_precision_range() -> None:
    assert "overflow_share" in observed(lambda: mlp(1)).absent
