"""Batches of any shape are taken apart, counted, copied and cut in the same way."""

from __future__ import annotations

from collections import OrderedDict, UserDict, namedtuple
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from auditor import batches

Pair = namedtuple("Pair", ["image", "label"])


@dataclass(frozen=True)
class Sample:
    image: Tensor
    label: Tensor
    name: str = "a"


class Opaque:
    def __init__(self) -> None:
        self.x = torch.arange(3.0)

    def __len__(self) -> int:
        return 3


X, Y = torch.arange(12.0).reshape(4, 3), torch.arange(4)
SHAPES: dict[str, Any] = {
    "tuple": (X, Y), "list": [X, Y], "dict": {"x": X, "labels": Y}, "named tuple": Pair(X, Y),
    "dataclass": Sample(X, Y), "ordered dict": OrderedDict(x=X, labels=Y),
    "user dict": UserDict({"x": X, "labels": Y}), "read-only": MappingProxyType({"x": X, "y": Y}),
    "nested": ((X, {"extra": X}), Y), "with words": {"x": X, "words": list("abcd"), "labels": Y},
}
shaped = pytest.mark.parametrize("batch", SHAPES.values(), ids=SHAPES.keys())


def same(one: Any, other: Any) -> bool:
    """Tell whether two batches hold the same tensors in the same order."""
    return all(torch.equal(a, b) for a, b in zip(
        batches.tensors_of(one), batches.tensors_of(other), strict=True))


@shaped
def test_four_samples_are_counted_in_every_shape(batch: Any) -> None:
    assert batches.length(batch) == 4


@shaped
def test_a_private_copy_can_be_changed_without_touching_the_original(batch: Any) -> None:
    before = [t.clone() for t in batches.tensors_of(batch)]
    mine = batches.private(batch)

    assert same(mine, batch)
    for tensor in batches.tensors_of(mine):
        tensor.zero_()
    assert all(torch.equal(a, b) for a, b in zip(batches.tensors_of(batch), before, strict=True))


@shaped
def test_samples_are_chosen_in_the_order_asked_for(batch: Any) -> None:
    chosen = batches.select(batch, [2, 0])

    assert [t[0].flatten()[0] for t in batches.tensors_of(chosen)] == [
        t[2].flatten()[0] for t in batches.tensors_of(batch)]
    assert batches.length(chosen) == 2


def test_words_beside_tensors_are_chosen_with_them() -> None:
    assert batches.select(SHAPES["with words"], [3, 1])["words"] == ["d", "b"]


def test_the_kind_of_a_batch_is_kept() -> None:
    for name in ("tuple", "list", "named tuple", "ordered dict", "user dict", "dataclass"):
        assert type(batches.private(SHAPES[name])) is type(SHAPES[name])


def test_what_is_not_per_sample_stays_whole() -> None:
    chosen = batches.select({"x": X, "weight": torch.ones(7), "scale": torch.tensor(2.0)}, [1])

    assert chosen["weight"].shape == (7,) and chosen["scale"] == 2


@pytest.mark.parametrize(("batch", "args", "kwargs", "target"), [
    ((X, Y), (X,), {}, Y), ([X], (X,), {}, X), (X, (X,), {}, X),
    ((X, X, Y), (X, X), {}, Y), ({"x": X, "labels": Y}, (), {"x": X}, Y),
    ({"x": X}, (), {"x": X}, None), (Pair(X, Y), (X,), {}, Y),
])
def test_a_batch_is_split_into_inputs_and_target(
        batch: Any, args: Any, kwargs: Any, target: Any) -> None:
    parts = batches.split(batch)

    assert parts.args == args and parts.kwargs == kwargs and parts.target is target


def test_an_opaque_batch_is_one_input_without_a_target() -> None:
    batch = Opaque()

    parts = batches.split(batch)

    assert parts.args == (batch,) and parts.target is None and batches.length(batch) == 3
    assert batches.private(batch) is not batch and torch.equal(batches.private(batch).x, batch.x)


def test_samples_in_the_second_dimension_are_counted_by_their_labels() -> None:
    assert batches.length((torch.zeros(20, 8, 5), torch.zeros(8))) == 8
    assert batches.length((torch.zeros(8, 20), torch.zeros(5), torch.zeros(8))) == 8
    assert batches.length(torch.tensor(3.0)) == 1


def test_a_leaf_that_wants_a_gradient_still_does() -> None:
    x = torch.ones(3, requires_grad=True)

    mine = batches.private((x, Y))[0]

    assert mine.requires_grad and mine.is_leaf and mine is not x


def test_a_packed_sequence_keeps_its_lengths_on_the_cpu() -> None:
    packed = pack_sequence([torch.ones(3, 2), torch.ones(1, 2)])

    doubled = batches.map_tensors((packed, Y), lambda t: t * 2)[0]

    assert isinstance(doubled, PackedSequence)
    assert torch.equal(doubled.batch_sizes, packed.batch_sizes) and bool((doubled.data == 2).all())


def test_batches_are_joined_where_they_fit() -> None:
    whole = batches.concatenate([{"x": X, "labels": Y}, {"x": X[:1], "labels": Y[:1]}])

    assert whole is not None and whole["x"].shape == (5, 3) and whole["labels"].tolist()[-1] == 0


@pytest.mark.parametrize("others", [
    [(X, Y), (torch.zeros(4, 2), Y)], [(X, Y), (X,)], [Opaque(), Opaque()],
    [(X, torch.tensor(1.0)), (X, torch.tensor(1.0))],
    [(X, list("abcd")), (X, list("efgh"))],
])
def test_batches_that_do_not_fit_are_not_joined(others: list[Any]) -> None:
    assert batches.concatenate(others) is None


def test_one_batch_is_joined_with_nothing() -> None:
    assert batches.concatenate([SHAPES["tuple"]]) is SHAPES["tuple"]


def test_a_batch_is_described_for_messages() -> None:
    assert batches.describe({"x": X, "words": "abc", "pair": (X, Y)}) == (
        "x: float32 (4, 3), words: str, pair: float32 (4, 3), int64 (4,)")


def test_an_opaque_batch_is_moved_by_its_own_method() -> None:
    class Moved(Opaque):
        def to(self, device: str) -> str:
            return f"on {device}"

    assert batches.move(Moved(), "cpu") == "on cpu"
    assert batches.move((X, Y), "meta")[0].is_meta


def test_bytes_are_counted() -> None:
    assert batches.size_in_bytes((X, Y)) == 12 * 4 + 4 * 8


def test_bytes_of_an_opaque_batch_are_counted_too() -> None:
    class Graph:
        def __init__(self) -> None:
            self.parts = {"x": X, "edges": np.zeros((2, 5), dtype=np.int64), "names": ["ab", "c"]}

    assert batches.size_in_bytes(Graph()) == 12 * 4 + 2 * 5 * 8 + 3


def test_a_batch_of_a_tokenizer_is_a_mapping() -> None:
    transformers = pytest.importorskip("transformers")
    batch = transformers.BatchEncoding({"input_ids": Y, "labels": Y})

    chosen = batches.select(batches.private(batch), [3])

    assert type(chosen) is transformers.BatchEncoding and chosen["input_ids"].tolist() == [3]
    assert set(batches.split(batch).kwargs) == {"input_ids"}


def test_samples_that_stand_one_behind_the_other_are_chosen_by_their_lengths() -> None:
    sounds, steps = torch.randn(3, 5, 2), torch.tensor([5, 4, 5])
    letters, sizes = torch.arange(6), torch.tensor([1, 3, 2])

    chosen = batches.select((sounds, steps, letters, sizes), [2, 0])

    assert torch.equal(chosen[0], sounds[[2, 0]])
    assert chosen[2].tolist() == [4, 5, 0] and chosen[3].tolist() == [2, 1]


@pytest.mark.parametrize("kept", [torch.arange(7), torch.randn(6, 2), torch.tensor(6.0)])
def test_other_tensors_are_kept_whole(kept: Tensor) -> None:
    sounds, sizes = torch.randn(3, 5), torch.tensor([1, 3, 2])

    assert torch.equal(batches.select((sounds, kept, sizes), [1])[1], kept)


def test_a_table_of_pairs_is_cut_on_both_sides_and_not_joined() -> None:
    time = torch.tensor([3.0, 1.0, 2.0, 5.0, 4.0])
    batch = {"x": torch.randn(5, 2), "time": time, "rank": (time[:, None] < time).float()}

    chosen = batches.select(batch, [4, 1, 2])["rank"]

    assert torch.equal(chosen, (time[[4, 1, 2], None] < time[[4, 1, 2]]).float())
    assert batches.concatenate([batch, batch]) is None


@pytest.mark.parametrize("batch", [
    {"x": torch.randn(5, 5), "y": torch.arange(5)},
    {"ids": torch.arange(25).reshape(5, 5), "mask": torch.ones(5, 5).tril()},
    {"tokens": torch.randn(5, 5, 3), "mask": torch.ones(5, 5).tril()},
    {"words": torch.eye(5), "label": torch.arange(5)},
    {"x": torch.randn(5, 5), "past": torch.randn(5, 3)},
], ids=["features", "tokens", "vectors", "rare words", "two inputs"])
def test_samples_as_long_as_the_batch_are_no_table_of_pairs(batch: dict[str, Tensor]) -> None:
    chosen = batches.select(batch, [3, 1])

    assert all(torch.equal(chosen[name], batch[name][[3, 1]]) for name in batch)
    assert batches.concatenate([batch, batch]) is not None
