"""What the best constant output gets under a loss that no library knows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from builders import observe, part_of_probes, target
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from auditor.isolation import seeded
from auditor.store import BatchStore
from auditor.target import Target, WithTrainingStep
from auditor.trial import Bench

constant_loss = part_of_probes("_constant").constant_loss
_GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(256, 4, generator=_GENERATOR)
NUMBERS = X[:, :1] + 0.3 * torch.randn(256, 1, generator=_GENERATOR)
CLASSES = torch.randint(0, 3, (256,), generator=_GENERATOR)
SHARES = torch.tensor([0.1, 0.5, 0.9])


def pinball(output: Tensor, y: Tensor) -> Tensor:
    error = y - output
    return torch.maximum(SHARES * error, (SHARES - 1) * error).mean()


def own_cross_entropy(output: Tensor, y: Tensor) -> Tensor:
    return (output.logsumexp(1) - output.gather(1, y.unsqueeze(1)).squeeze(1)).mean()


def step_of(loss: Callable[[Tensor, Tensor], Tensor]) -> Any:
    return WithTrainingStep(lambda model, batch: loss(model(batch[0]), batch[1]))


def audited(loss: Callable[[Tensor, Tensor], Tensor], y: Tensor, **changes: Any) -> Target:
    return target(lambda: nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3)), X, y,
                  compute=step_of(loss), **changes)


def learned(audited: Target) -> float | None:
    with seeded(1):
        found: float | None = constant_loss(Bench(audited), BatchStore(audited, 0).train(8), 1)
    return found


def test_it_finds_the_quantiles_of_the_targets() -> None:
    best = pinball(torch.quantile(NUMBERS, SHARES, dim=0).view(1, 3), NUMBERS)

    assert learned(audited(pinball, NUMBERS)) == pytest.approx(float(best), rel=0.01)
    # However far away they are.
    assert learned(audited(pinball, NUMBERS + 30)) == pytest.approx(float(best), rel=0.02)


def test_it_finds_the_entropy_of_the_classes() -> None:
    shares = CLASSES.bincount() / len(CLASSES)

    assert learned(audited(own_cross_entropy, CLASSES)) == pytest.approx(
        float(-(shares * shares.log()).sum()), rel=0.002)


@pytest.mark.parametrize("loss", [
    lambda output, y: -output.mean(),
    lambda output, y: F.mse_loss(torch.zeros_like(y, requires_grad=True), y),
    lambda output, y: (output - output.mean(0)).abs().log().mean(),
    lambda output, y: (output - output.roll(1, 0)).norm(dim=1).sub(
        (output - output.roll(2, 0)).norm(dim=1)).add(0.2).relu().mean(),
])
def test_where_no_constant_is_the_best_one_there_is_none(loss: Any) -> None:
    assert learned(audited(loss, NUMBERS)) is None


def test_an_output_that_is_no_row_has_none() -> None:
    def pair(model: nn.Module, batch: Any) -> Tensor:
        output, _ = model(batch[0])
        return own_cross_entropy(output[:, -1], batch[1])

    recurrent = target(lambda: nn.GRU(1, 3, batch_first=True), X.unsqueeze(2), CLASSES,
                       compute=WithTrainingStep(pair))

    assert learned(recurrent) is None


def test_a_step_that_fails_on_a_constant_has_none() -> None:
    def refuse(output: Tensor, y: Tensor) -> Tensor:
        if bool((output == output[:1]).all()):
            raise ValueError("all the same")
        return own_cross_entropy(output, y)

    assert learned(audited(refuse, CLASSES)) is None


def test_the_model_is_itself_again() -> None:
    bench = Bench(audited(pinball, NUMBERS))
    before = bench.model(X[:2])

    constant_loss(bench, BatchStore(bench.target, 0).train(2), 0)

    assert "forward" not in vars(bench.model)
    assert torch.equal(bench.model(X[:2]), before)


def test_a_pinball_loss_far_from_its_targets_starts_off() -> None:
    near = observe("initial_loss", audited(pinball, NUMBERS))
    far = observe("initial_loss", audited(pinball, NUMBERS + 30))

    assert 0.5 < float(near.value("initial_loss_ratio") or 0) < 3
    assert float(far.value("initial_loss_ratio") or 0) > 30
    assert far.value("predicts_numbers") is True


def test_shuffled_outputs_learn_nothing_below_the_constant() -> None:
    def shuffled(output: Tensor, y: Tensor) -> Tensor:
        return own_cross_entropy(output[torch.randperm(len(output))], y)

    mixed, true = (observe("learning_rate", audited(loss, X[:, :3].argmax(1), lr=1e-2))
                   for loss in (shuffled, own_cross_entropy))

    assert float(mixed.value("best_descent") or 0) < 0.05
    assert float(true.value("best_descent") or 0) > 0.5
