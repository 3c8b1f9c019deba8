"""What a forward computes and does not use, and what goes another way."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from builders import observe, target
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it
from wiring_cases import Encoder, Net, X, Y, cut, values

from auditor.target import WithTrainingStep


class Dropping(Net):
    """Computes a branch and goes on without it."""

    def __init__(self) -> None:
        super().__init__()
        self.branch = nn.Sequential(nn.Linear(32, 32), nn.ReLU())

    def between(self, h: Tensor) -> Tensor:
        self.branch(h)
        return h


class Sometimes(Dropping):
    """Takes the branch into account in every other pass."""

    passes = 0

    def between(self, h: Tensor) -> Tensor:
        beside: Tensor = self.branch(h)
        self.passes += 1
        return h if self.passes % 2 else h + beside


class Skipping(nn.Module):
    """A stack whose last block makes one output too many, as in WaveNet."""

    def __init__(self) -> None:
        super().__init__()
        self.gates = nn.ModuleList(nn.Linear(20, 20) for _ in range(3))
        self.onward = nn.ModuleList(nn.Linear(20, 20) for _ in range(3))
        self.aside = nn.ModuleList(nn.Linear(20, 3) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        total = torch.zeros(len(x), 3)
        for gate, onward, aside in zip(self.gates, self.onward, self.aside, strict=True):
            h = torch.tanh(gate(x))
            x = x + onward(h)
            total = total + aside(h)
        return total


def test_one_output_too_many_at_the_end_of_a_stack_is_told_from_a_lost_branch() -> None:
    observation = observe("wiring", target(Skipping, X, Y))
    alike = values(observation, "others_alike_learn")

    assert {name for name, is_alike in alike.items() if is_alike} == {
        "onward.2.weight", "onward.2.bias"}
    dropped = observe("wiring", target(Dropping, X, Y))
    assert not any(values(dropped, "others_alike_learn").values())


class Graph:
    """An object of the user's that carries tensors."""

    def __init__(self, x: Tensor, edges: Tensor) -> None:
        self.x, self.edges = x, edges


class Carrying(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.nodes, self.edges = nn.Linear(20, 3), nn.Linear(20, 3)

    def forward(self, x: Tensor) -> Graph:
        return Graph(self.nodes(x), self.edges(x))


class InAnObject(nn.Module):
    """Part of what a layer's object carries is not read."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = Carrying()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer(x).x
        return out


class Deciding(Dropping):
    """Takes its branch for a decision."""

    def between(self, h: Tensor) -> Tensor:
        return h if self.branch(h).mean() > -100 else h * 2


class Remembering(Dropping):
    """Keeps the branch's output for the next pass."""

    def between(self, h: Tensor) -> Tensor:
        self.kept = self.branch(h).detach().mean(0)
        return h


class FromOutside(nn.Module):
    """Calls a layer of another module and returns what it gives."""

    def __init__(self) -> None:
        super().__init__()
        self.body = Encoder()

    def forward(self, x: Tensor) -> Any:
        return self.body(x)[0], self.body.pool(self.body.features(x))


@pytest.mark.parametrize("make_model", [Sometimes, InAnObject, Deciding, Remembering, FromOutside])
def test_what_goes_another_way_is_not_dropped(make_model: Any) -> None:
    def step(model: nn.Module, batch: Any) -> Tensor:
        out = model(batch[0])
        return F.cross_entropy(out[0] if isinstance(out, tuple) else out, batch[1])

    observation = observe("wiring", target(
        make_model, X, Y, compute=WithTrainingStep(step)))
    assert not any(values(observation, "is_dropped").values())


def test_what_the_step_itself_calls_is_not_dropped_by_the_model() -> None:
    def step(model: nn.Module, batch: Any) -> Tensor:
        scores, _ = model(batch[0])
        body: Any = model.body
        body.pool(body.features(batch[0])).mean()  # only logged
        return F.cross_entropy(scores, batch[1])

    observation = observe("wiring", target(
        FromOutside, X, Y, compute=WithTrainingStep(step)))
    assert not any(values(observation, "is_dropped").values())


def test_what_does_not_leave_the_forward_that_computed_it_is_dropped() -> None:
    lost, by = cut(Dropping)

    assert lost == {"branch.0.weight", "branch.0.bias"}
    assert by == {"the forward of the model, which uses nothing of what branch puts out"}
