"""Which layer feeds which, however the forward pass is written."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from auditor.layergraph import LayerGraph, LayerUse
from auditor.recorder import watching


def _graph(model: nn.Module, x: Tensor) -> LayerGraph:
    graph = LayerGraph(model)
    with watching(model, graph):
        loss = model(x).square().mean()
    graph.connect(loss)
    loss.backward()
    return graph


def _by_name(graph: LayerGraph) -> dict[str, LayerUse]:
    return {use.name: use for use in graph.layers}


class Forward(nn.Module):
    """Layers made in one order and called in another."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(6, 3)
        self.first = nn.Linear(4, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.first(x)))  # type: ignore[no-any-return]


def test_the_order_is_that_of_the_calls() -> None:
    layers = _by_name(_graph(Forward(), torch.randn(5, 4)))

    assert layers["last"].before is layers["first"]
    assert [call.subject for call in layers["last"].activations] == [":relu"]
    assert layers["last"].ends == "output"


def test_the_gradient_at_an_output_is_its_norm() -> None:
    model, x = Forward(), torch.randn(5, 4)
    outputs: list[Tensor] = []
    model.first.register_forward_hook(lambda *args: outputs.append(args[2]))
    loss = model(x).square().mean()
    expected = torch.autograd.grad(loss, outputs[0])[0].norm()

    layers = _by_name(_graph(model, x))

    assert layers["first"].delta == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("inplace", [False, True])
def test_an_activation_in_place_on_a_sequence_is_seen(inplace: bool) -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(inplace=inplace), nn.Linear(8, 2))

    graph = _graph(model, torch.randn(3, 5, 4))

    assert _by_name(graph)["2"].before is _by_name(graph)["0"]
    assert not _by_name(graph)["2"].bare


def test_dropout_and_views_leave_two_layers_bare() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Unflatten(1, (2, 4)), nn.Flatten(),
                          nn.Linear(8, 2))

    last = _by_name(_graph(model, torch.randn(3, 4)))["4"]

    assert last.bare and last.only_reader


def test_a_mask_made_by_hand_is_no_bare_stretch() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = self.a(x)
            return self.b(x * (x > 0))  # type: ignore[no-any-return]

    assert not _by_name(_graph(Masked(), torch.randn(3, 4)))["b"].bare


def test_a_normalisation_and_a_residual_sum_cut_the_stretch() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.norm, self.b = nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 4)
            self.c = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = self.a(x)
            return self.c(x + self.b(self.norm(x)))  # type: ignore[no-any-return]

    layers = _by_name(_graph(Block(), torch.randn(3, 4)))

    assert layers["b"].before is None and layers["b"].begins == "normalisation"
    assert layers["c"].before is None and layers["c"].begins == "join"
    assert layers["b"].ends == "residual"


@pytest.mark.parametrize("factor", [1, 2])
@pytest.mark.parametrize(("activation", "is_gate"), [(torch.tanh, False), (torch.sigmoid, True)])
def test_a_tanh_that_a_sigmoid_lets_through_is_no_gate(
    activation: Any, is_gate: bool, factor: int,
) -> None:
    class Highway(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.g, self.out = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            gate = torch.sigmoid(self.g(x))
            scaled = factor * gate if factor > 1 else gate
            return self.out(scaled * activation(self.a(x)) + (1 - gate) * x)  # type: ignore[no-any-return]

    calls = _graph(Highway(), torch.randn(3, 4)).activations

    assert [call.gates for call in calls] == [True, is_gate]


@pytest.mark.parametrize(("kind", "is_gate"), [
    ("layer", False), ("attention", True), ("memory", True), ("choice", True),
])
def test_a_softmax_is_a_gate_where_it_weighs_or_chooses_something(kind: str, is_gate: bool) -> None:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q, self.v, self.out = nn.Linear(4, 6), nn.Linear(4, 4), nn.Linear(4, 2)
            self.after, self.memory = nn.Linear(6, 2), nn.Parameter(torch.randn(6, 4))

        def forward(self, x: Tensor) -> Tensor:
            weights = torch.softmax(self.q(x), dim=1)
            if kind == "memory":
                return self.out(weights @ self.memory)  # type: ignore[no-any-return]
            if kind == "choice":
                largest, where = weights.topk(2, dim=1)
                chosen = torch.zeros_like(weights).scatter(1, where, largest)
                return self.after(torch.cat([chosen, chosen], 1)[:, 3:9])  # type: ignore[no-any-return]
            if kind == "attention":
                weights = weights.masked_fill(torch.eye(6, dtype=torch.bool), 0.0)
                return self.out(nn.functional.dropout(weights, 0.1) @ self.v(x))  # type: ignore[no-any-return]
            return self.after(weights)  # type: ignore[no-any-return]

    calls = _graph(Attention(), torch.randn(6, 4)).activations

    assert [call.gates for call in calls] == [is_gate] and calls[0].hidden


def test_a_gate_is_told_from_a_hidden_activation() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.g, self.out = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            hidden = torch.tanh(self.a(x))
            return self.out(hidden + torch.sigmoid(self.g(x)) * self.a(x))  # type: ignore[no-any-return]

    calls = {call.activation.name: call for call in _graph(Gated(), torch.randn(3, 4)).activations}

    assert calls["sigmoid"].gates and not calls["tanh"].gates
    assert calls["tanh"].hidden


@pytest.mark.parametrize("joined", ["product", "einsum", "layer"])
def test_a_gate_may_be_scaled(joined: str) -> None:
    class Mixed(nn.Module):
        """Residual streams, each with its own part of what the branch adds."""

        def __init__(self) -> None:
            super().__init__()
            self.g, self.branch = nn.Linear(4, 4), nn.Linear(4, 4)
            self.after, self.out = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            part = torch.sigmoid(self.g(x)) * 2
            if joined == "layer":
                return self.out(self.after(part))  # type: ignore[no-any-return]
            if joined == "product":
                return self.out(x + part * self.branch(x))  # type: ignore[no-any-return]
            streams = torch.einsum("bs,bd->bsd", part, self.branch(x))
            return self.out((x.unsqueeze(1) + streams).sum(dim=1))  # type: ignore[no-any-return]

    calls = _graph(Mixed(), torch.randn(3, 4)).activations

    assert [call.gates for call in calls] == [joined != "layer"]


def test_an_activation_before_the_loss_is_not_hidden() -> None:
    graph = _graph(nn.Sequential(nn.Linear(4, 2), nn.Sigmoid()), torch.randn(3, 4))

    assert not graph.activations[0].hidden


def test_a_fused_recurrence_stands_between_layers() -> None:
    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.LSTM(4, 5, batch_first=True), nn.Linear(5, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.rnn(x)[0][:, -1])  # type: ignore[no-any-return]

    layers = _by_name(_graph(Reader(), torch.randn(3, 6, 4)))

    assert layers["head"].before is layers["rnn"]
    assert layers["rnn"].layout == "opaque" and math.isfinite(layers["rnn"].delta)


def test_a_sum_with_data_or_a_frozen_branch_is_a_join() -> None:
    class Adapter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.base, self.down, self.up = nn.Linear(4, 4), nn.Linear(4, 2), nn.Linear(2, 4)
            self.base.requires_grad_(False)
            self.head = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.relu(self.base(x) + self.up(self.down(x))))  # type: ignore[no-any-return]

    layers = _by_name(_graph(Adapter(), torch.randn(3, 4)))

    assert layers["head"].before is None and layers["head"].begins == "join"
    assert layers["up"].ends == "sum"


@pytest.mark.parametrize(("kind", "ends"), [
    ("weighed", "residual"), ("beside what it began with", "residual"), ("beside data", "join"),
    ("beside itself", "join"), ("data added", "sum"), ("weighed and data added", "sum"),
    ("beside another layer", "join"), ("a table added", "join"), ("a layer added", "sum"),
    ("gate of a layer", "gate"),
])
def test_what_carries_on_beside_a_branch_is_seen_through_products_and_concatenations(
    kind: str, ends: str,
) -> None:
    class Branch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm = nn.Linear(4, 4), nn.LayerNorm(4)
            self.branch, self.other = nn.Linear(4, 4), nn.Linear(4, 4)
            self.head = nn.Linear(8 if kind.startswith("beside") else 4, 2)
            self.table = torch.randn(4)

        def forward(self, x: Tensor) -> Tensor:
            base = self.first(x)
            found = torch.tanh(self.branch(base))
            ways: dict[str, Callable[[], Tensor]] = {
                "weighed": lambda: base + found * base.sum(1, keepdim=True),
                "beside what it began with": lambda: torch.cat([self.norm(base), found], 1),
                "beside data": lambda: torch.cat([x, found], 1),
                "beside itself": lambda: torch.cat([found.relu(), (-found).relu()], 1),
                "data added": lambda: x + found,
                "weighed and data added": lambda: x + found * base,
                "beside another layer": lambda: torch.cat([self.other(base), found], 1),
                "a table added": lambda: found + self.table,
                "a layer added": lambda: found + self.other(base),
                "gate of a layer": lambda: found * self.other(base),
            }
            return self.head(ways[kind]())  # type: ignore[no-any-return]

    layers = _by_name(_graph(Branch(), torch.randn(3, 4)))

    assert layers["branch"].ends == ends


def test_a_layer_whose_output_is_not_used_reads_nothing() -> None:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.branch = nn.Linear(4, 4), nn.Linear(4, 4)
            self.idle, self.head = nn.Linear(4, 1), nn.Linear(8, 2)

        def forward(self, x: Tensor) -> Tensor:
            base = self.first(x)
            found = torch.relu(self.branch(base))
            self.idle(found)
            return self.head(torch.cat([base, found], 1))  # type: ignore[no-any-return]

    layers = _by_name(_graph(Last(), torch.randn(3, 4)))

    assert layers["branch"].after == [] and layers["branch"].ends == "residual"
    assert layers["idle"].before is None


def test_a_constant_factor_behind_a_layer_is_noted() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.c(torch.relu(self.b(torch.relu(self.a(x) / 2))))  # type: ignore[no-any-return]

    layers = _by_name(_graph(Scaled(), torch.randn(3, 4)))

    assert layers["a"].rescaled and not layers["c"].rescaled


def test_several_weights_of_one_module_have_names_of_their_own() -> None:
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.ParameterDict({"a": torch.randn(3, 4), "b": torch.randn(2, 3)})

        def forward(self, x: Tensor) -> Tensor:
            x = torch.relu(nn.functional.linear(x, self.body["a"]))
            return nn.functional.linear(x, self.body["b"])

    assert list(_by_name(_graph(Pair(), torch.randn(5, 4)))) == ["body.a", "body.b"]
