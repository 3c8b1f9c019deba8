"""Runs that are compared with others count only when the clock has not cut one of them short."""

from __future__ import annotations

import time
from importlib import import_module
from typing import Any

import pytest
import torch
from builders import target
from torch import Tensor, nn

from auditor.isolation import seeded
from auditor.observation import Measurement, Observation
from auditor.probe import Notebook, OutOfTime, ProbeContext
from auditor.store import BatchStore
from auditor.trial import Bench

whole_run = import_module("auditor.probes._whole").whole_run


def data(scale: float = 1.0) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(256, 8, generator=g)
    return scale * x, (x[:, 0] > 0).long()


class Slow(nn.Module):
    """Takes its time once it has been called so often."""

    calls = 0

    def __init__(self, fast: int) -> None:
        super().__init__()
        self.fast = fast
        self.body = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.9), nn.Linear(16, 2))

    def forward(self, x: Tensor) -> Tensor:
        Slow.calls += 1
        if Slow.calls > self.fast:
            time.sleep(0.2)
        y: Tensor = self.body(x)
        return y


def context_of(name: str, fast: int, scale: float, *earlier: Measurement) -> ProbeContext:
    probe = getattr(import_module(f"auditor.probes.{name}"), "".join(
        part.title() for part in name.split("_")))
    audited = target(lambda: Slow(fast), *data(scale), lr=1e-2)
    Slow.calls = 0
    return ProbeContext(
        target=audited, batches=BatchStore(audited), note=Notebook(name, probe.yields),
        earlier={"data": Observation("data", measurements=earlier)}, step_seconds=1e-3,
        deadline=time.monotonic() + 2.0)


@pytest.mark.parametrize("fast", [40, 70])
def test_inputs_are_not_called_raw_by_runs_that_were_cut_short(fast: int) -> None:
    context = context_of("standardised", fast, 100.0, Measurement("input_size", 100.0))

    with pytest.raises(OutOfTime, match="cut short"):
        import_module("auditor.probes.standardised").Standardised().run(context)
    assert context.note.observation().value("standardised_loss_ratio") is None


@pytest.mark.parametrize("fast", [40, 70])
def test_what_dropout_costs_is_not_told_by_runs_that_were_cut_short(fast: int) -> None:
    context = context_of(
        "regularization_off", fast, 1.0, Measurement("dropout_p", 0.9, "body.2"))

    with pytest.raises(OutOfTime, match="cut short"):
        import_module("auditor.probes.regularization_off").RegularizationOff().run(context)
    assert context.note.observation().value("dropout_cost") is None


def test_a_run_that_diverges_is_whole() -> None:
    audited: Any = target(lambda: nn.Linear(8, 2), *data(), lr=1e38, optimizer=torch.optim.SGD)
    context = ProbeContext(target=audited, batches=BatchStore(audited), note=Notebook("x", ()))

    with seeded(0):
        result = whole_run(context, Bench(audited), 20)

    assert result.outcome == "diverged"
    assert context.note.steps == len(result.losses) < 20
