"""Batches of graphs that can be taken apart and joined: what is then known of their samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import pytest
import torch
from builders import observe, target
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from auditor import batches
from auditor.graphs import graphs_of
from auditor.observation import Observation
from auditor.target import WithTrainingStep

FEATURES = 4


class Graph:
    """A graph by itself."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x, self.y = x, y


class Graphs:
    """Many graphs in one object, one behind the other."""

    def __init__(self, each: Sequence[Graph]) -> None:
        self.x = torch.cat([graph.x for graph in each])
        self.y = torch.cat([graph.y for graph in each])
        self.batch = torch.repeat_interleave(
            torch.arange(len(each)), torch.tensor([len(graph.x) for graph in each]))

    def __len__(self) -> int:
        return len(self.y)

    def to_data_list(self) -> list[Graph]:
        sizes = torch.bincount(self.batch).tolist()
        return [Graph(x, y[None]) for x, y in zip(torch.split(self.x, sizes), self.y, strict=True)]

    @classmethod
    def from_data_list(cls, each: Sequence[Graph]) -> Graphs:
        return Graphs(each)


class Mine(Graphs):
    """The kind of batch that a library makes for each kind of graph."""


def graph(seed: int, *, numbers: bool = True) -> Graph:
    g = torch.Generator().manual_seed(seed)
    size = int(torch.randint(3, 9, (1,), generator=g))
    kinds = F.one_hot(torch.randint(0, FEATURES, (size,), generator=g), FEATURES).float()
    y = kinds[:, 0].mean() + 0.1 * torch.randn((), generator=g)
    return Graph(kinds, y[None] if numbers else (y[None] > 0.25).long())


class Pooled(nn.Module):
    """One number for each graph, of the mean of its nodes or of all nodes of the batch."""

    def __init__(self, mixes: bool = False) -> None:
        super().__init__()
        self.mixes = mixes
        self.inner, self.out = nn.Linear(FEATURES, 16), nn.Linear(16, 1)

    def forward(self, data: Graphs) -> Tensor:
        nodes = F.relu(self.inner(data.x))
        sums = torch.zeros(len(data), 16).index_add_(0, data.batch, nodes)
        means = sums / torch.bincount(data.batch)[:, None]
        if self.mixes:
            means = means + nodes.mean(0)
        found: Tensor = self.out(means).squeeze(1)
        return found


class Loader:
    def __init__(self, each: Sequence[Graph], size: int = 16) -> None:
        self.each, self.size = each, size

    def __len__(self) -> int:
        return len(self.each) // self.size

    def __iter__(self) -> Iterator[Graphs]:
        for i in range(len(self)):
            yield Mine(self.each[i * self.size:(i + 1) * self.size])


def seen(
    probe: str, train: Sequence[Graph], val: Sequence[Graph] = (), *, model: Any = Pooled,
    summed: bool = False,
) -> Observation:
    reduction = "sum" if summed else "mean"
    step = WithTrainingStep(
        lambda m, data: F.mse_loss(m(data), data.y.float(), reduction=reduction))
    nothing = torch.zeros(2, FEATURES), torch.zeros(2)
    return observe(probe, target(
        model, *nothing, compute=step, make_train_loader=lambda: Loader(train),
        make_val_loader=(lambda: Loader(val)) if val else None))


def many(numbers: bool = True) -> list[Graph]:
    return [graph(i, numbers=numbers) for i in range(320)]


def test_graphs_are_chosen_and_joined() -> None:
    one, other = Mine([graph(i) for i in range(5)]), Mine([graph(i) for i in range(5, 8)])

    joined = batches.concatenate([one, other])
    chosen = batches.select(joined, [6, 1])

    assert type(joined) is Graphs
    assert batches.length(joined) == 8
    assert torch.equal(chosen.y, torch.cat([graph(6).y, graph(1).y]))
    assert torch.equal(chosen.x, torch.cat([graph(6).x, graph(1).x]))


def test_copies_of_graphs_are_counted() -> None:
    order = torch.randperm(320, generator=torch.Generator().manual_seed(0)).tolist()
    repeated = seen("data", [graph(i % 80) for i in order])

    assert repeated.value("duplicate_share") == 240 / 320
    assert seen("data", many()).value("duplicate_share") == 0


def test_graphs_without_numbers_of_their_own_may_be_equal_by_chance() -> None:
    assert "duplicate_share" in seen("data", many(numbers=False)).absent


def test_numbers_that_stand_for_kinds_are_not_of_a_graphs_own() -> None:
    table = torch.randn(FEATURES, FEATURES, generator=torch.Generator().manual_seed(0))
    kinds = [Graph(one.x @ table, one.y) for one in many(numbers=False)]

    assert "duplicate_share" in seen("data", kinds).absent


def test_a_batch_that_cannot_be_read_is_no_batch_of_graphs() -> None:
    class Unwilling:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(name)

    assert graphs_of(Unwilling()) is None


class Untold(Graph):
    """A graph with a field that is no tensor."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        super().__init__(x, y)
        self.edges = {"of one kind": torch.randn(3)}


class Handmade(Graphs):
    """It does not know where one graph ends."""

    def to_data_list(self) -> list[Graph]:
        raise RuntimeError("cannot be reconstructed")


def test_graphs_of_which_a_part_is_not_seen_are_not_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Mine, "to_data_list", lambda self: [
        Untold(one.x, one.y) for one in Graphs.to_data_list(self)])

    assert "duplicate_share" in seen("data", many()[:64] * 5).absent


def test_a_batch_that_was_put_together_by_hand_is_left_whole() -> None:
    batch = Handmade([graph(i) for i in range(4)])

    assert graphs_of(batch) is None
    assert batches.select(batch, [0, 1]) is batch


def test_targets_do_not_make_equal_graphs_different() -> None:
    x = graph(0).x
    assert "do not differ" in seen("collapse", [Graph(x, graph(i).y) for i in range(64)]).reason


def test_validation_graphs_that_are_trained_on_are_found() -> None:
    fresh = [graph(1000 + i) for i in range(64)]
    leaky = seen("data", many(), [*many()[:32], *fresh[:32]])

    assert leaky.value("leaked_share") == 0.5
    assert seen("data", many(), fresh).value("leaked_share") == 0


@pytest.mark.parametrize(("mixes", "low", "high"), [(False, 0.0, 1e-4), (True, 0.01, 9.0)])
def test_a_mean_over_the_nodes_of_all_graphs_mixes_them(
    mixes: bool, low: float, high: float,
) -> None:
    found = seen("mixing", many(), model=partial(Pooled, mixes))

    assert low <= float(found.value("foreign_influence", found.measurements[0].subject)
                        or 0) <= high


@pytest.mark.parametrize("summed", [False, True])
def test_a_loss_that_is_summed_over_graphs_grows_with_the_batch(summed: bool) -> None:
    growth = float(seen("reduction", many(), summed=summed).value("loss_growth") or 0)

    assert growth == pytest.approx(2.0 if summed else 1.0, rel=1e-3)


def test_the_output_is_seen_to_vary_over_graphs() -> None:
    found = seen("collapse", many())

    assert float(found.value("model_variation") or 0) > 0.01


@pytest.mark.parametrize("joined", [True, False])
def test_targets_of_other_graphs_do_not_depend_on_what_is_in_these(joined: bool) -> None:
    order = torch.randperm(320, generator=torch.Generator().manual_seed(1)).tolist()
    mixed = [Graph(one.x, one.y if joined else graph(k).y)
             for one, k in zip(many(), order, strict=True)]
    found = seen("information", mixed)

    assert (float(found.value("dependence_p") or 0) <= 1e-3) is joined


def test_graphs_that_differ_in_their_edges_alone_are_not_taken_for_equal_inputs() -> None:
    g = torch.Generator().manual_seed(0)
    alike = [Graph(torch.ones(5, FEATURES), torch.randn(1, generator=g)) for _ in range(320)]
    found = seen("information", alike)

    assert found.value("inputs_repeat") is not True
