"""Large states wait in a file without a name; small ones in memory. Both come back bit for bit."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from auditor import heap, snapshot
from auditor.heap import HEAP
from auditor.isolation import seeded
from auditor.shelf import Laid, Shelf
from auditor.snapshot import Snapshot


def in_training(width: int) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Return a model with an optimizer that has taken a step."""
    model = nn.Sequential(nn.Linear(width, width), nn.BatchNorm1d(width))
    optimizer = torch.optim.Adam(model.parameters())
    step(model, optimizer)
    return model, optimizer


def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    x = torch.randn(4, next(model.parameters()).shape[1])
    model(x).square().sum().backward()
    optimizer.step()


def state(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[Tensor]:
    moments = [value for held in optimizer.state_dict()["state"].values()
               for value in held.values()]
    return [t.clone() for t in (*model.state_dict().values(), *moments)]


@pytest.mark.parametrize("width", [300, 1000])
def test_a_state_comes_back_bit_for_bit_from_memory_and_from_a_file(width: int) -> None:
    with seeded(0):
        model, optimizer = in_training(width)
        before = state(model, optimizer)
        kept = Snapshot.of(model, optimizer, 1)
        for _ in range(2):
            step(model, optimizer)
            kept.put_back(model, optimizer)

            assert all(torch.equal(a, b)
                       for a, b in zip(before, state(model, optimizer), strict=True))
            assert all(p.grad is None for p in model.parameters())
    assert any(isinstance(t, Laid) for t in kept.tensors.values()) is (width == 1000)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.complex64, torch.int8,
                                   torch.bool])
def test_a_tensor_of_any_type_can_be_laid_down(dtype: torch.dtype) -> None:
    tensor = torch.randn(400, 500).to(dtype)
    laid = Shelf().lay(tensor)
    turned = torch.zeros(500, 400, dtype=dtype).T

    assert isinstance(laid, Laid)
    assert torch.equal(laid.tensor(), tensor)
    laid.put_into(turned)
    assert torch.equal(turned, tensor)


def test_a_file_leaves_no_name_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    laid = Shelf().lay(torch.zeros(100_000))

    assert isinstance(laid, Laid) and list(tmp_path.iterdir()) == []


def test_where_no_file_can_be_written_the_copy_stays_in_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: Any) -> Any:
        raise OSError("No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    monkeypatch.setattr(snapshot, "_LARGE", 0)
    with seeded(0):
        model, optimizer = in_training(300)
        before = state(model, optimizer)
        kept = Snapshot.of(model, optimizer, 1)
        step(model, optimizer)
        kept.put_back(model, optimizer)

    assert all(torch.equal(a, b) for a, b in zip(before, state(model, optimizer), strict=True))


def test_giving_memory_back_is_harmless_where_it_is_not_possible(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    HEAP.give_back()
    monkeypatch.setattr("sys.platform", "darwin")
    heap._trim.cache_clear()

    HEAP.give_back()

    heap._trim.cache_clear()
