"""Batches that are objects with named fields: what is looked at in them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from builders import observe, target
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from auditor.fields import features_of, numbers_in
from auditor.observation import Observation
from auditor.standardising import standardising_fields
from auditor.target import Target, WithTrainingStep

NODES, GRAPHS, FEATURES = 12, 64, 5


class Plain:
    """Its fields are attributes."""

    def __init__(self, **fields: Tensor) -> None:
        self.__dict__.update(fields)


class Keyed:
    """Its fields are found by key and lie in a store, as those of graph libraries do."""

    def __init__(self, **fields: Tensor) -> None:
        self.__dict__["_store"] = fields

    def __copy__(self) -> Keyed:
        return Keyed(**self._store)

    def keys(self) -> Iterator[str]:
        return iter(self._store)

    def __getitem__(self, name: str) -> Tensor:
        field: Tensor = self._store[name]
        return field

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in self.__dict__["_store"]:
            raise AttributeError(name)
        return self.__dict__["_store"][name]

    def __setattr__(self, name: str, value: Tensor) -> None:
        self._store[name] = value

    def __deepcopy__(self, memo: object) -> Keyed:
        return type(self)(**copy.deepcopy(self._store))


class Unwilling:
    """A field cannot be read."""

    def __init__(self, **fields: Tensor) -> None:
        self.x, self.y = fields["x"], fields["y"]

    def keys(self) -> Iterator[str]:
        raise RuntimeError("not now")


def graphs(kind: Callable[..., Any], change: Callable[[Tensor], Tensor]) -> list[Any]:
    g = torch.Generator().manual_seed(0)
    read = []
    for _ in range(GRAPHS):
        x = torch.randn(NODES, FEATURES, generator=g)
        y = (x[:, 0] > 0).long()
        read.append(kind(x=change(x), y=y, ends=torch.randint(0, NODES, (2, 30), generator=g)))
    return read


def step(model: nn.Module, batch: Any) -> Tensor:
    return F.cross_entropy(model(batch.x), batch.y)


def over(read: list[Any]) -> Target:
    first = torch.zeros(2, FEATURES), torch.zeros(2).long()
    return replace(
        target(lambda: nn.Sequential(nn.Linear(FEATURES, 8), nn.ReLU(), nn.Linear(8, 2)), *first,
               compute=WithTrainingStep(step)), make_train_loader=lambda: read)


def far_out(x: Tensor) -> Tensor:
    return torch.cat([x[:, :-1], 4000 + 1500 * x[:, -1:]], dim=1)


def spoiled(x: Tensor) -> Tensor:
    x = x.clone()
    x[3, 1] = float("nan")
    return x


def size_of(observation: Observation) -> float:
    value = observation.value("input_size")
    assert isinstance(value, float)
    return value


@pytest.mark.parametrize("kind", [Plain, Keyed])
def test_the_scale_of_a_field_is_seen_and_tried(kind: Callable[..., Any]) -> None:
    far, near = (observe("data", over(graphs(kind, change)))
                 for change in (far_out, lambda x: x))

    assert size_of(far) > 1000
    assert "column 4" in str(far.value("input_feature"))
    assert size_of(near) < 2


@pytest.mark.parametrize("kind", [Plain, Keyed])
def test_features_are_standardised_in_copies(kind: Callable[..., Any]) -> None:
    read = graphs(kind, far_out)
    before = read[0].x.clone()
    change = standardising_fields(read, [read[0].y])
    assert change is not None
    changed = torch.cat([change(batch).x for batch in read])

    torch.testing.assert_close(changed.mean(dim=0), torch.zeros(FEATURES), atol=1e-4, rtol=0)
    torch.testing.assert_close(changed.std(dim=0), torch.ones(FEATURES), atol=2e-2, rtol=0)
    assert torch.equal(read[0].x, before)
    assert torch.equal(change(read[0]).y, read[0].y)


def test_only_features_are_standardised() -> None:
    energies = [Plain(energy=torch.randn(4, 1) * 1000) for _ in range(3)]

    assert standardising_fields(energies, []) is None
    assert standardising_fields([(torch.randn(4, 2), torch.zeros(4))], []) is None


def test_what_the_loss_compares_with_is_not_scaled() -> None:
    read = graphs(Plain, far_out)

    assert standardising_fields(read, [read[0].x]) is None
    assert standardising_fields(read, [read[0].x[:5]]) is not None


class Frozen(Plain):
    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("frozen")


class Shared(Keyed):
    """A shallow copy has the store of the original."""

    def __copy__(self) -> Shared:
        copied = Shared.__new__(Shared)
        copied.__dict__["_store"] = self._store
        return copied


@pytest.mark.parametrize("kind", [Frozen, Shared])
def test_objects_that_do_not_take_other_values_are_left_alone(kind: Callable[..., Any]) -> None:
    read = graphs(kind, far_out)
    before = read[0].x.clone()

    assert standardising_fields(read, []) is None
    assert torch.equal(read[0].x, before)


def test_nothing_is_made_by_looking() -> None:
    class Typed(Keyed):
        """Items are types of nodes, and those that are asked for are made."""

        def __getitem__(self, name: str) -> Tensor:
            return self._store.setdefault(f"made {name}", torch.zeros(1))  # type: ignore[no-any-return]

    batch = graphs(Typed, lambda x: x)[0]

    assert list(numbers_in(batch)) == ["x"]
    assert set(batch.keys()) == {"x", "y", "ends"}


def test_sparse_fields_are_left_out() -> None:
    batch = Plain(x=torch.eye(3).to_sparse(), edge_attr=torch.randn(4, 2), y=torch.zeros(3))

    assert list(features_of(batch)) == ["edge_attr"]
    assert list(features_of(Plain(edge_attr=torch.randn(4, 2)))) == []


def test_a_field_that_is_no_number_is_named() -> None:
    found = observe("data", over(graphs(Plain, spoiled)))

    assert found.value("nonfinite_values") == GRAPHS
    assert found.value("nonfinite_where") == "column 1 of field x, first in row 3 of batch 0"
    assert found.value("nonfinite_harms") is True


def test_a_batch_whose_fields_cannot_be_read_is_opaque() -> None:
    found = observe("data", over(graphs(Unwilling, spoiled)))

    assert found.value("nonfinite_values") == 0
    assert "input_size" in found.absent


def test_targets_and_what_can_be_taken_apart_are_no_fields() -> None:
    numbers = torch.randn(4, 3)

    assert list(numbers_in(Plain(x=numbers, y=numbers[:, 0], ends=torch.zeros(2).long()))) == ["x"]
    assert numbers_in((numbers, numbers)) == {}
    assert numbers_in({"x": numbers}) == {}
