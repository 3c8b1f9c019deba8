"""Batches are fetched once, are the same for everybody, and leave the loader as it was."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from builders import target
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset, WeightedRandomSampler

from auditor.errors import TargetError
from auditor.store import BatchStore
from auditor.target import Target

X, Y = torch.randn(40, 4, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 2


class Noisy(Dataset[tuple[Tensor, Tensor]]):
    """Draws from every generator there is."""

    def __init__(self, failing: int = -1) -> None:
        self.asked = 0
        self.failing = failing
        self.own = np.random.default_rng(3)
        self.torch = torch.Generator().manual_seed(4)

    def __len__(self) -> int:
        return 16

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        if index == self.failing:
            raise OSError("disk")
        self.asked += 1
        noise = (random.random() + np.random.rand() + float(torch.rand(())) + self.own.random()
                 + float(torch.rand((), generator=self.torch)))
        return X[index] + noise, Y[index]


def of(make_loader: Any, **changes: Any) -> Target:
    """Return a target that reads from a loader."""
    return target(lambda: nn.Linear(4, 2), X, Y, make_train_loader=make_loader, **changes)


def values(stored: list[Any]) -> list[float]:
    return [float(x.sum()) for x, _ in stored]


@pytest.mark.parametrize("make", [
    lambda: DataLoader(Noisy(), batch_size=4, shuffle=True),
    lambda: DataLoader(Noisy(), batch_size=4,
                       sampler=WeightedRandomSampler([1.0] * 16, 16)),
])
def test_the_same_batches_come_however_they_are_asked_for(make: Any) -> None:
    at_once, bit_by_bit = BatchStore(of(make)), BatchStore(of(make))

    bit_by_bit.train(1)
    torch.rand(5), random.random(), np.random.rand()
    bit_by_bit.train(2)

    assert values(at_once.train(4)) == values(bit_by_bit.train(4))


def test_another_seed_gives_another_order() -> None:
    audited = of(lambda: DataLoader(TensorDataset(X, Y), batch_size=4, shuffle=True))

    assert values(BatchStore(audited, 1).train(3)) != values(BatchStore(audited, 2).train(3))


def test_nothing_is_fetched_twice_and_the_end_is_seen() -> None:
    fetched = []

    def loader() -> Iterator[tuple[Tensor, Tensor]]:
        for i in range(3):
            fetched.append(i)
            yield X[i:i + 1], Y[i:i + 1]

    store = BatchStore(of(loader))
    store.train(2)
    assert fetched == [0, 1] and not store.training_pass.exhausted

    assert len(store.train(10)) == 3
    assert store.training_pass.exhausted and len(store.training_pass.waits) == 3


def test_an_endless_loader_is_read_no_further_than_asked() -> None:
    def loader() -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            yield X, Y

    assert len(BatchStore(of(loader)).train(5)) == 5


def test_the_limit_of_bytes_ends_the_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.store.BYTE_LIMIT", 2 * 40 * (4 * 4 + 8))

    assert len(BatchStore(of(lambda: [(X, Y)] * 10)).train(10)) == 2


def test_what_is_handed_out_for_training_is_private() -> None:
    mine = X.clone()
    store = BatchStore(of(lambda: [(mine, Y)]))

    for x, _ in store.cycled(3):
        x.zero_()

    assert torch.equal(mine, X) and torch.equal(store.train(1)[0][0], X)


def test_batches_are_cycled_over_the_first_ones() -> None:
    store = BatchStore(of(lambda: [(X[i:i + 1], Y[:1]) for i in range(5)]))

    assert values(list(store.cycled(5, of=2))) == values([*store.train(2), *store.train(2),
                                                         *store.train(1)])
    assert list(BatchStore(of(lambda: [])).cycled(3)) == []


def test_a_further_epoch_has_an_order_of_its_own() -> None:
    store = BatchStore(of(lambda: DataLoader(TensorDataset(X, Y), batch_size=40, shuffle=True)))

    (first,), (second,) = store.train(1), list(store.another_epoch(1))

    assert not torch.equal(first[0], second[0])
    assert torch.equal(first[0].sort(0).values, second[0].sort(0).values)


def test_a_further_epoch_is_not_kept() -> None:
    store = BatchStore(of(lambda: DataLoader(TensorDataset(X, Y), batch_size=4, shuffle=True)))
    kept = [weakref.ref(x) for x, _ in store.another_epoch(10)]

    assert len(kept) == 10 and all(one() is None for one in kept[:-1])


def test_a_loader_that_failed_goes_on_failing() -> None:
    def loader() -> Iterator[tuple[Tensor, Tensor]]:
        yield X, Y
        raise OSError("disk")

    store = BatchStore(of(loader))

    for _ in range(2):
        with pytest.raises(TargetError, match="Fetching batch 1 of the training loader failed"):
            store.train(3)
    assert len(store.train(1)) == 1 and not store.training_pass.exhausted


@pytest.mark.parametrize("failing", [-1, 9])
def test_the_users_loader_and_generators_are_bit_equal_afterwards(failing: int) -> None:
    dataset = Noisy(failing)
    generator = torch.Generator().manual_seed(7)
    loader = DataLoader(dataset, batch_size=4, shuffle=True, generator=generator)

    def state() -> list[Any]:
        return [
            dataset.asked, dataset.own.bit_generator.state, dataset.torch.get_state().tolist(),
            generator.get_state().tolist(), torch.get_rng_state().tolist(), random.getstate(),
            np.random.get_state()[1].tolist(), dict(vars(loader)),  # type: ignore[index]
        ]

    before = state()
    store = BatchStore(of(lambda: loader))
    try:
        store.train(4)
    except TargetError:
        assert failing == 9
    store.close()

    assert state() == before


def test_a_dataset_that_is_a_list_is_read_as_it_is() -> None:
    class Listed(list[Any], Dataset[Any]):  # type: ignore[misc]  # list's + is another
        pass

    store = BatchStore(of(lambda: DataLoader(Listed(zip(X, Y, strict=True)), batch_size=8)))

    assert store.train(1)[0][0].shape == (8, 4)


def test_validation_batches_are_optional() -> None:
    with_val = BatchStore(of(lambda: [(X, Y)], make_val_loader=lambda: [(X, Y)] * 2))

    assert BatchStore(of(lambda: [(X, Y)])).val(3) == []
    assert len(with_val.val(3)) == 2 and with_val.val_exhausted


class Deadly(Dataset[tuple[Tensor, int]]):
    """Kills the process that reads one of the samples."""

    def __len__(self) -> int:
        return 40

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if index == 8:
            os.kill(os.getpid(), signal.SIGKILL)
        return X[index], index % 2


@pytest.mark.skipif(sys.platform == "win32", reason="no signals for the death of a process")
def test_the_death_of_a_loaders_worker_is_told_where_a_batch_is_asked_for_and_only_there() -> None:
    store = BatchStore(of(lambda: DataLoader(Deadly(), batch_size=4, num_workers=1)))
    try:
        store.train(1)
        # The worker reads ahead and dies by now. A handler of the signal would raise in here.
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            pass
        with pytest.raises(TargetError, match="exited unexpectedly"):
            store.train(10)
    finally:
        store.close()
