"""Losses that take gradients on their way, where gradients are switched off."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from auditor.innergradients import with_inner_gradients
from auditor.target import LossResult, Target

BATCH = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))


def slopes(model: nn.Module, batch: Any) -> LossResult:
    """Return a loss of the output's slope, as physics has it."""
    x = batch.clone().requires_grad_()
    output = model(x)
    slope, = torch.autograd.grad(output.sum(), x, create_graph=True)
    return LossResult((slope - 1).square().mean(), {"output": output})


def plain(model: nn.Module, batch: Any) -> LossResult:
    output = model(batch)
    return LossResult(output.square().mean(), output)


def stepping(model: nn.Module, batch: Any) -> LossResult:
    """Take the step itself, as a whole training loop does."""
    loss: Tensor = model(batch).square().mean()
    loss.backward()  # type: ignore[no-untyped-call]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.sub_(torch.as_tensor(parameter.grad), alpha=0.1)
    return LossResult(loss.detach(), None)


def opened(compute: Any) -> tuple[nn.Module, Any]:
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    target = Target("net", "net.py", lambda: model, list, compute, "step",
                    lambda m: torch.optim.SGD(m.parameters()))
    return model, with_inner_gradients(target).compute


@pytest.mark.parametrize("compute", [slopes, plain])
def test_a_look_without_gradients_gives_the_same_loss_and_no_graph(compute: Any) -> None:
    model, look = opened(compute)
    trained = look(model, BATCH)
    with torch.no_grad():
        seen = look(model, BATCH)

    assert trained.loss.requires_grad
    assert float(seen.loss) == float(trained.loss)
    output = seen.output["output"] if isinstance(seen.output, dict) else seen.output
    assert not seen.loss.requires_grad and not output.requires_grad


def test_a_step_that_trains_by_itself_is_not_opened() -> None:
    model, look = opened(stepping)
    look(model, BATCH)
    before = [parameter.clone() for parameter in model.parameters()]

    with torch.no_grad(), pytest.raises(RuntimeError, match="does not require grad"):
        look(model, BATCH)
    assert all(map(torch.equal, before, model.parameters()))
