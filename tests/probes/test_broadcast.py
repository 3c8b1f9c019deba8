"""The probe `broadcast`: where outputs and targets meet."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from builders import observe, target
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from auditor.target import WithTrainingStep

_GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(64, 8, generator=_GENERATOR)
Y = X[:, :1] + 1

pytestmark = pytest.mark.filterwarnings("ignore:Using a target size")


def growth(y: Tensor, loss: Any, make_model: Any = lambda: nn.Linear(8, 1)) -> Any:
    def step(model: nn.Module, batch: Any) -> Tensor:
        value: Tensor = loss(model(batch[0]), batch[1])
        return value

    observation = observe("broadcast", target(make_model, X, y, compute=WithTrainingStep(step)))
    return observation.value("broadcast_growth")


@pytest.mark.parametrize("loss", [
    nn.MSELoss(), nn.L1Loss(), nn.SmoothL1Loss(),
    lambda out, y: ((out - y) ** 2).mean(),
    lambda out, y: (y - out).abs().mean(),
])
def test_each_output_against_all_targets_grows_by_the_batch(loss: Any) -> None:
    assert growth(Y.squeeze(1), loss) == 32


@pytest.mark.parametrize(("y", "loss"), [
    (Y, nn.MSELoss()),
    (Y.squeeze(1), lambda out, y: (out.squeeze(1) - y).square().mean()),
    (Y, lambda out, y: (torch.rand(len(y), 1) * (out - y) ** 2).mean()),
])
def test_equal_shapes_and_weights_do_not_grow(y: Tensor, loss: Any) -> None:
    assert growth(y, loss) == 1


@pytest.mark.parametrize(("shape", "times"), [((-1,), 32), ((-1, 1), 1)])
def test_a_target_that_is_made_of_an_input_is_compared_by_the_loss_function(
    shape: tuple[int, ...], times: int,
) -> None:
    def step(model: nn.Module, batch: Any) -> Tensor:
        return F.mse_loss(model(batch[0]), batch[0][:, 0].sin().reshape(shape))

    found = observe("broadcast", target(
        lambda: nn.Linear(8, 1), X, Y, compute=WithTrainingStep(step)))

    assert found.value("broadcast_growth") == times


@pytest.mark.parametrize("loss", [
    lambda out, x: F.smooth_l1_loss(out.unsqueeze(2), x[:, None, :1].detach(), reduction="none"),
    lambda out, x: F.mse_loss(out[:, None], torch.zeros(7, 1).expand(7, 1), reduction="none"),
    lambda out, x: F.l1_loss(out[:, None, :], x[None, :, :1], reduction="none"),
])
def test_all_pairs_that_are_written_out_are_meant(loss: Any) -> None:
    def step(model: nn.Module, batch: Any) -> Tensor:
        value: Tensor = loss(model(batch[0]), batch[0]).mean()
        return value

    found = observe("broadcast", target(
        lambda: nn.Linear(8, 1), X, Y, compute=WithTrainingStep(step)))

    assert found.value("broadcast_growth") in (None, 1)


def test_one_target_for_all_samples_does_not_grow() -> None:
    def loss(out: Tensor, y: Tensor) -> Tensor:
        return F.mse_loss(out, y[:1].expand_as(out)) + ((out - y[:1]) ** 2).mean()

    assert growth(Y, loss) == 1


def test_outer_differences_of_a_ranking_loss_are_meant() -> None:
    def loss(out: Tensor, y: Tensor) -> Tensor:
        order = torch.sign(y - y.T)
        return F.softplus(-(out - out.T) * order).mean()

    assert growth(Y, loss) in (None, 1)


def test_the_shapes_are_said() -> None:
    observation = observe("broadcast", target(lambda: nn.Linear(8, 1), X, Y.squeeze(1),
                                              nn.MSELoss()))

    assert observation.value("output_shape") == "(32, 1)"
    assert observation.value("target_shape") == "(32,)"
    assert observation.value("output_has_more_dimensions") is True


def test_cross_entropy_does_not_compare_elements() -> None:
    observation = observe("broadcast", target(lambda: nn.Linear(8, 2), X, (Y > 1).long()[:, 0]))

    assert observation.status == "not-applicable"


class Graphs:
    """A batch that only its own model understands, as graph libraries make them."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x, self.y = x, y

    @property
    def labels(self) -> Tensor:
        raise ValueError("these graphs have none")


@pytest.mark.parametrize(("columns", "expected"), [(1, 32), (0, 1)])
def test_the_target_of_an_object_is_known_by_its_name(columns: int, expected: int) -> None:
    def step(model: nn.Module, batch: Graphs) -> Tensor:
        output = model(batch.x)
        return F.mse_loss(output if columns else output.squeeze(1), batch.y)

    loader = [Graphs(X[i:i + 32], Y[i:i + 32, 0]) for i in (0, 32)]
    observation = observe("broadcast", target(
        lambda: nn.Linear(8, 1), X, Y, compute=WithTrainingStep(step),
        make_train_loader=lambda: loader))

    assert observation.value("broadcast_growth") == expected
