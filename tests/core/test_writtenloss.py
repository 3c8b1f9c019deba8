"""Squared and absolute errors written by hand are seen as what they are, and nothing else is."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from auditor import task
from auditor.losscall import LossCall, LossCalls
from auditor.recorder import watching

Step = Callable[[Any, Tensor, Tensor], Any]


class Own(nn.Module):
    """A loss of the user's own."""

    def forward(self, output: Tensor, y: Tensor) -> Tensor:
        return (output - y).pow(2).mean()


class Ready(nn.Module):
    """A model that answers with a dictionary."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"y": self.body(x)}


def calls(step: Step, *, graph: bool = True, outputs: int = 1) -> tuple[list[LossCall], float]:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, outputs)), torch.randn(16, 4)
    y = torch.randn(16, outputs)
    listener = LossCalls()
    with torch.set_grad_enabled(graph), watching(model, listener):
        loss = step(model, x, y)
    return listener.calls, loss.item()


SQUARES: dict[str, Step] = {
    "power": lambda m, x, y: ((m(x) - y) ** 2).mean(),
    "pow": lambda m, x, y: (y - m(x)).pow(2).mean(),
    "square": lambda m, x, y: torch.mean(torch.square(m(x) - y)),
    "product": lambda m, x, y: torch.mul(d := torch.sub(m(x), y), d).mean(),
    "module": lambda m, x, y: Own()(m(x), y),
    "reshaped": lambda m, x, y: ((m(x)[:, 0] - y.squeeze(1)) ** 2).mean(),
    "by steps": lambda m, x, y: ((m(x) - y) ** 2).sum(dim=-1).mean(),
    "dictionary": lambda m, x, y: ((Ready(m)(x)["y"] - y) ** 2).mean(),
    "parts": lambda m, x, y: ((m[2](torch.tanh(m[0](x))) - y) ** 2).mean(),
    "further": lambda m, x, y: ((2 * m(x) + 1 - y) ** 2).mean(),
}


@pytest.mark.parametrize("graph", [True, False])
@pytest.mark.parametrize("spelling", SQUARES)
def test_a_mean_squared_error_is_seen_with_and_without_a_graph(spelling: str, graph: bool) -> None:
    found, loss = calls(SQUARES[spelling], graph=graph)

    assert [(call.name, call.reduction) for call in found] == [("mse_loss", "mean")]
    assert task.value(found[0]) == pytest.approx(loss)


def test_input_and_target_are_told_apart_whatever_comes_first() -> None:
    (call,), _ = calls(lambda m, x, y: ((torch.full_like(y, 3.0) - m(x)) ** 2).mean())

    assert call.target is not None and bool((call.target == 3).all())


@pytest.mark.parametrize(("step", "name", "reduction", "factor"), [
    (lambda m, x, y: (m(x) - y).abs().mean(), "l1_loss", "mean", 1.0),
    (lambda m, x, y: torch.abs(y - m(x)).sum(), "l1_loss", "sum", 1.0),
    (lambda m, x, y: 0.5 * ((m(x) - y) ** 2).sum(1).sum(), "mse_loss", "sum", 0.5),
    (lambda m, x, y: (0.5 * (m(x) - y) ** 2).mean(), "mse_loss", "mean", 0.5),
    (lambda m, x, y: ((m(x) - y) ** 2 / 2).sum(1).mean(), "mse_loss", "mean", 1.5),
])
def test_sizes_sums_and_factors(step: Step, name: str, reduction: str, factor: float) -> None:
    (call,), loss = calls(step, outputs=3)

    assert (call.name, call.reduction) == (name, reduction)
    value = task.value(call)
    assert value is not None and loss == pytest.approx(factor * value)


def masked_in_place(m: Any, x: Tensor, y: Tensor) -> Any:
    errors = (m(x) - y) ** 2
    errors[y < 0] = 0
    return errors.mean()


def weighted_in_place(m: Any, x: Tensor, y: Tensor) -> Any:
    errors = (m(x) - y).pow(2)
    errors.mul_(y.abs())
    return errors.mean()


def filled_through_a_view(m: Any, x: Tensor, y: Tensor) -> Any:
    errors = (m(x) - y).pow(2)
    errors[:3].zero_()
    return errors.mean()


def subtracted_in_place(m: Any, x: Tensor, y: Tensor) -> Any:
    errors = m(x) * 1
    errors -= y
    return errors.square().mean()


OTHERS: dict[str, Step] = {
    "variance": lambda m, x, y: ((z := m(x)) - z.mean(0)).pow(2).mean(),
    "two answers": lambda m, x, y: ((m(x) - m(x + 1)) ** 2).mean(),
    "teacher": lambda m, x, y: ((m(x) - m(x + 1).detach()) ** 2).mean(),
    "decay": lambda m, x, y: m(x).mean() + ((m[0].weight - torch.zeros(8, 4)) ** 2).sum(),
    "constant": lambda m, x, y: ((m(x) - 1.0) ** 2).mean(),
    "weighted": lambda m, x, y: (y.abs() * (m(x) - y) ** 2).mean(),
    "cubed": lambda m, x, y: ((m(x) - y) ** 3).mean(),
    "data alone": lambda m, x, y: m(x).mean() + ((x - y) ** 2).mean(),
    "difference": lambda m, x, y: (m(x) - y).mean(),
    "masked": lambda m, x, y: ((m(x) - y) ** 2)[:3].mean(),
    "masked in place": masked_in_place,
    "weighted in place": weighted_in_place,
    "filled through a view": filled_through_a_view,
    "subtracted in place": subtracted_in_place,
    "power of two": lambda m, x, y: torch.pow(2, m(x) - y).mean(),
    "quotient": lambda m, x, y: torch.div(d := m(x) - y, d).mean(),
    "inverse": lambda m, x, y: torch.div(1.0, (m(x) - y) ** 2).mean(),
    "half of it": lambda m, x, y: torch.sub(m(x), y, alpha=0.5).square().mean(),
    "maximised": lambda m, x, y: (-1 * (m(x) - y) ** 2).mean(),
    "one centre": lambda m, x, y: ((m(x) - torch.ones(1)) ** 2).sum(1).mean(),
}


@pytest.mark.parametrize("graph", [True, False])
@pytest.mark.parametrize("other", OTHERS)
def test_what_is_no_plain_error_is_left_alone(other: str, graph: bool) -> None:
    assert calls(OTHERS[other], graph=graph)[0] == []


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("graph", [True, False])
def test_a_figure_for_the_log_is_no_loss(named: bool, graph: bool) -> None:
    def step(m: Any, x: Tensor, y: Tensor) -> Tensor:
        out = m(x)
        with torch.no_grad():
            (out - y).abs().mean()
        return F.mse_loss(out, y) if named else ((out - y) ** 2).mean()

    found, _ = calls(step, graph=graph)

    # Without a graph the two that are written by hand cannot be told apart.
    assert [call.name for call in found] == (["mse_loss"] if named or graph else [])


def test_whole_numbers_may_be_the_target() -> None:
    (call,), loss = calls(lambda m, x, y: ((m(x) - y.round().long()) ** 2).mean())

    assert task.value(call) == pytest.approx(loss)


def test_nothing_of_a_pass_is_held_when_it_is_over() -> None:
    listener, model = LossCalls(), nn.Linear(4, 1)
    with watching(model, listener):
        out = model(torch.randn(16, 4))
        ((out - torch.randn(16, 1)) ** 2).mean()
    answer = weakref.ref(out)
    del out

    assert answer() is None and len(listener.calls) == 1


def test_a_known_loss_is_not_seen_twice() -> None:
    found, _ = calls(lambda m, x, y: F.mse_loss(m(x), y))

    assert [call.name for call in found] == ["mse_loss"]


def test_errors_inside_of_a_model_are_the_models_own() -> None:
    class Inside(nn.Module):
        def __init__(self, body: nn.Module) -> None:
            super().__init__()
            self.body = body

        def forward(self, x: Tensor) -> Any:
            return ((self.body(x) - x[:, :1]) ** 2).mean()

    listener, model = LossCalls(), Inside(nn.Linear(4, 1))
    with watching(model, listener):
        model(torch.randn(5, 4))

    assert listener.calls == []


@pytest.mark.filterwarnings("error")
def test_an_axis_too_many_is_evaluated_as_it_was_computed_without_a_warning() -> None:
    (call,), loss = calls(lambda m, x, y: ((m(x) - y.squeeze(1)) ** 2).mean())

    assert task.value(call) == pytest.approx(loss)
