"""Validation data that cannot be used do not stop what the training data tell."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from builders import observe, target
from torch import Tensor, nn

from auditor.target import WithLossFunction

FEATURES = 8


def data(samples: int, seed: int) -> tuple[Tensor, Tensor]:
    x = torch.randn(samples, FEATURES, generator=torch.Generator().manual_seed(seed))
    return x, (x[:, 0] > 0).long()


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(FEATURES, 16), nn.ReLU(), nn.Linear(16, 2))


class Broken:
    """Batches whose file lacks a column, as the second of them shows."""

    def __init__(self, good: int) -> None:
        self.good = good

    def __iter__(self) -> Any:
        for _ in range(self.good):
            yield data(32, 1)
        raise KeyError("age")


@pytest.mark.parametrize("good", [0, 1])
def test_a_validation_loader_that_fails_leaves_the_training_data_judged(good: int) -> None:
    audited = target(mlp, *data(400, 0), make_val_loader=lambda: Broken(good))
    seen, run = observe("data", audited), observe("fit", audited)

    assert seen.value("nonfinite_values") == 0
    assert seen.value("duplicate_share") == 0
    assert run.value("fit_level") is not None
    for observation, name in ((seen, "leaked_share"), (seen, "input_shift"), (run, "fit_gap")):
        assert "validation loader" in observation.missed[name]
        assert "age" in observation.missed[name]
        assert name not in observation.absent


def test_validation_batches_of_another_form_leave_the_training_run_judged() -> None:
    x, _ = data(100, 1)
    audited = target(mlp, *data(400, 0), val=(x, torch.randn(100, 3)),
                     compute=WithLossFunction(nn.CrossEntropyLoss()))
    run = observe("fit", audited)

    assert run.status == "measured"
    assert run.value("fit_level") is not None
    assert "validation batches" in run.absent["fit_gap"]


def test_a_validation_loader_that_works_is_used() -> None:
    run = observe("fit", target(mlp, *data(400, 0), val=data(100, 1)))

    assert run.value("fit_gap") is not None
    assert not run.missed
