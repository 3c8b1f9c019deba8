"""The probe `objective`: what the loss gets against what it is made for."""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
import torch
from builders import observe, target
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from auditor.observation import Observation
from auditor.target import WithTrainingStep

_GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(128, 10, generator=_GENERATOR)
CLASSES = X[:, :3].argmax(dim=1)
BINARY = (X[:, :1] > 0).float()
NUMBERS = X[:, :1] + X[:, 1:2]


def ending(outputs: int, activation: Callable[[Tensor], Tensor] | None = None) -> Any:
    """Return a maker of models that end in an activation."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(10, outputs)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.fc(x)
            return activation(out) if activation else out

    return Net


def softmax(z: Tensor) -> Tensor:
    return z.softmax(dim=1)


def log_softmax(z: Tensor) -> Tensor:
    return F.log_softmax(z, dim=1)


def seen(make_model: Any, y: Tensor, loss: Any = None, **changes: Any) -> Observation:
    return observe("objective", target(make_model, X, y, loss, **changes))


def by_step(loss: Callable[[Tensor, Tensor], Tensor]) -> Any:
    def step(model: nn.Module, batch: Any) -> Tensor:
        return loss(model(batch[0]), batch[1])

    return WithTrainingStep(step)


@pytest.mark.parametrize(("make_model", "y", "loss", "share"), [
    (ending(3), CLASSES, nn.CrossEntropyLoss(), 0.0),
    (ending(3, softmax), CLASSES, nn.CrossEntropyLoss(), 1.0),
    (ending(3, torch.sigmoid), CLASSES, nn.CrossEntropyLoss(), 1.0),
    (ending(1), BINARY, nn.BCEWithLogitsLoss(), 0.0),
    (ending(1, torch.sigmoid), BINARY, nn.BCEWithLogitsLoss(), 1.0),
    (ending(3, log_softmax), CLASSES, nn.NLLLoss(), 0.0),
])
def test_an_activation_before_one_that_the_loss_applies(
    make_model: Any, y: Tensor, loss: Any, share: float,
) -> None:
    assert seen(make_model, y, loss).value("activated_twice") == share


def test_a_softmax_before_a_log_softmax_is_twice_too() -> None:
    observation = seen(ending(3, softmax), CLASSES, compute=by_step(
        lambda out, y: F.nll_loss(F.log_softmax(out, dim=1), y)))

    assert observation.value("activated_twice") == 1
    assert observation.value("first_activation") == "softmax"


def test_log_probabilities_into_cross_entropy_are_told_apart() -> None:
    observation = seen(ending(3, log_softmax), CLASSES)

    assert observation.value("activated_twice") == 0
    assert observation.value("log_activated_twice") == 1


def test_soft_targets_are_not_taken_for_the_input() -> None:
    soft = F.one_hot(CLASSES, 3).float() * 0.7 + 0.1

    assert seen(ending(3), soft).value("activated_twice") == 0


def clamped(x: Tensor) -> Tensor:
    return x.clamp(1e-6, 1 - 1e-6)


def clamped_probabilities(x: Tensor) -> Tensor:
    return clamped(torch.sigmoid(x))


@pytest.mark.parametrize(("make_model", "y", "loss", "wrong"), [
    (ending(1), BINARY, nn.BCELoss(), True),
    (ending(1, torch.sigmoid), BINARY, nn.BCELoss(), False),
    (ending(1, clamped), BINARY, nn.BCELoss(), True),
    (ending(1, clamped_probabilities), BINARY, nn.BCELoss(), False),
    (ending(3), CLASSES, nn.NLLLoss(), True),
    (ending(3, softmax), CLASSES, nn.NLLLoss(), True),
    (ending(3, log_softmax), CLASSES, nn.NLLLoss(), False),
])
def test_raw_scores_where_probabilities_are_expected(
    make_model: Any, y: Tensor, loss: Any, wrong: bool,
) -> None:
    share = seen(make_model, y, loss).value("unnormalized_rows")

    assert (float(share or 0) > 0.3) is wrong


@pytest.mark.parametrize(("activation", "y", "low", "high"), [
    (torch.relu, NUMBERS, 0.4, 0.6),
    (torch.relu, NUMBERS.abs(), 0, 0),
    (torch.sigmoid, NUMBERS.abs() * 5, 0.5, 1),
    (torch.sigmoid, torch.rand(128, 1, generator=_GENERATOR), 0, 0),
    (torch.tanh, torch.rand(128, 1, generator=_GENERATOR) * 2 - 1, 0, 0),
    (torch.tanh, NUMBERS * 4, 0.6, 1),
    (lambda z: z.clamp(0, 1), NUMBERS, 0.4, 1),
    (lambda z: 10 * torch.sigmoid(z), NUMBERS.abs(), 0, 0),
])
def test_targets_outside_of_the_last_activations_range(
    activation: Any, y: Tensor, low: float, high: float,
) -> None:
    share = float(seen(ending(1, activation), y, nn.MSELoss()).value("unreachable_targets") or 0)

    assert low <= share <= high


def test_an_error_written_by_hand_says_what_it_leaves_out() -> None:
    def plain(output: Tensor, y: Tensor) -> Tensor:
        return ((output - y) ** 2).mean()

    def masked(output: Tensor, y: Tensor) -> Tensor:
        errors = (output - y) ** 2
        errors[y < 0] = 0
        return errors.mean()

    y = NUMBERS.abs().clone()
    y[::2] = -999.0
    whole, left_out = (seen(ending(1, torch.relu), y, compute=by_step(loss))
                       for loss in (plain, masked))

    assert whole.value("unreachable_targets") == pytest.approx(0.5, abs=0.1)
    assert left_out.status == "not-applicable"


@pytest.mark.parametrize(("activation", "limited"), [
    (None, False), (torch.relu, True), (torch.tanh, True), (F.leaky_relu, False), (F.gelu, False),
])
def test_scores_that_an_activation_limits(activation: Any, limited: bool) -> None:
    assert seen(ending(3, activation), CLASSES).value("limited_logits") is limited


@pytest.mark.parametrize(("make_model", "y", "loss", "one"), [
    (ending(1), torch.zeros(128, dtype=torch.long), nn.CrossEntropyLoss(), True),
    (ending(1), BINARY, nn.CrossEntropyLoss(), True),
    (ending(1, softmax), BINARY, nn.BCELoss(), True),
    (ending(2), torch.cat([BINARY, 1 - BINARY], dim=1), nn.CrossEntropyLoss(), False),
    (ending(2), BINARY[:, 0].long(), nn.CrossEntropyLoss(), False),
])
def test_softmax_over_one_output(make_model: Any, y: Tensor, loss: Any, one: bool) -> None:
    assert seen(make_model, y, loss).value("one_class") is one


COUNTS = torch.poisson(torch.full((128, 1), 2.0), generator=_GENERATOR)


@pytest.mark.parametrize(("y", "classes"), [
    ((torch.arange(128) % 5).float()[:, None], 5),
    (BINARY, 0),
    (COUNTS, 0),
    ((NUMBERS * 10 + 40).round(), 0),
    ((torch.arange(128) % 5).float()[:, None] + 1, 0),
])
def test_class_indices_are_told_from_other_whole_numbers(y: Tensor, classes: int) -> None:
    assert seen(ending(1), y, nn.MSELoss()).value("indices_as_numbers") == classes


@pytest.mark.parametrize(("outputs", "loss"), [
    (1, lambda out, y: F.mse_loss(out.squeeze(1), y.float())),
    (3, lambda out, y: F.mse_loss(out, y.float()[:, None].expand_as(out))),
])
def test_indices_that_the_batches_hold_as_integers(outputs: int, loss: Any) -> None:
    observation = seen(ending(outputs), CLASSES, compute=by_step(loss))

    assert observation.value("indices_as_numbers") == 3
    assert observation.value("index_typed_targets") is True


def test_exclusive_classes_in_a_binary_loss() -> None:
    one_hot = F.one_hot(CLASSES, 3).float()
    several = (X[:, :3] > 0).float()

    assert seen(ending(3), one_hot, nn.BCEWithLogitsLoss()).value("exclusive_rows") == 1
    assert seen(ending(3), one_hot, nn.MSELoss()).value("exclusive_rows") == 1
    assert seen(ending(3), one_hot, nn.MSELoss()).value("squared_probabilities") is False
    behind = seen(ending(3, nn.Softmax(dim=1)), one_hot, nn.MSELoss())
    assert behind.value("squared_probabilities") is True
    share = seen(ending(3), several, nn.BCEWithLogitsLoss()).value("exclusive_rows")
    assert 0 < float(share or 0) < 0.6


def test_an_unknown_loss_is_not_judged() -> None:
    observation = seen(ending(3), CLASSES, compute=by_step(
        lambda out, y: out.logsumexp(dim=1).mean() - out.gather(1, y[:, None]).mean()))

    assert observation.status == "not-applicable"


def test_a_loss_that_is_looked_at_after_the_backward_pass_is_no_fault() -> None:
    bounded = import_module("auditor.probes._losses")._unclamped
    scores = torch.randn(8, 1, requires_grad=True)
    clamped_scores = scores.mul(1).clamp(0.1, 0.9)
    assert bounded(clamped_scores) is not None
    clamped_scores.sum().backward()  # type: ignore[no-untyped-call]

    assert bounded(clamped_scores) is None


@pytest.mark.parametrize(("sign", "maximise", "raises"), [
    (1, False, False), (-1, False, True), (-0.5, False, True), (-1, True, False), (1, True, True),
])
def test_a_step_that_makes_the_loss_larger_is_seen(
    sign: float, maximise: bool, raises: bool,
) -> None:
    found = seen(ending(3), CLASSES, lambda output, y: sign * F.cross_entropy(output, y),
                 optimizer=functools.partial(torch.optim.Adam, maximize=maximise))

    assert found.value("raises_loss") is raises


@pytest.mark.parametrize(("y", "loss"), [
    (torch.zeros(128, 1), lambda output, y: -F.binary_cross_entropy_with_logits(output, y)),
    (BINARY, lambda output, y: output.square().mean()
        - F.binary_cross_entropy_with_logits(output, y)),
])
def test_a_loss_that_may_be_raised_by_design_is_not_judged(
    y: Tensor, loss: Callable[[Tensor, Tensor], Tensor],
) -> None:
    assert "raises_loss" in seen(ending(1), y, loss).absent


def test_one_batch_does_not_show_whether_a_loss_is_negated_or_has_further_terms() -> None:
    found = seen(ending(3), CLASSES, lambda output, y: F.cross_entropy(output, y) - 5,
                 batch_size=len(CLASSES))

    assert "same loss" in found.absent["raises_loss"]


def test_where_all_batches_have_the_same_loss_at_the_start_further_terms_do_not_show() -> None:
    def zero_head() -> nn.Module:
        model: nn.Module = ending(3)()
        last = [part for part in model.modules() if isinstance(part, nn.Linear)][-1]
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        return model

    found = seen(zero_head, CLASSES, lambda output, y: F.cross_entropy(output, y) - 5)

    assert "same loss" in found.absent["raises_loss"]


def test_multipliers_that_are_maximised_beside_a_model_that_is_not_are_no_fault() -> None:
    def both(parameters: Any, lr: float) -> torch.optim.Optimizer:
        first, *rest = parameters
        return torch.optim.Adam([{"params": rest}, {"params": [first], "maximize": True}], lr=lr)

    found = seen(ending(3), CLASSES, F.cross_entropy, optimizer=both)

    assert "some parameters" in found.absent["raises_loss"]
