"""The model of a trial: its modes, its dropout, its own `train`, and that it is let go of."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from builders import target
from torch import nn

from auditor.modes import evaluating, set_dropout
from auditor.trial import Bench


def test_modes_are_put_back_module_by_module() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.2))
    model[1].eval()
    before = [m.training for m in model.modules()]

    with pytest.raises(ValueError, match="no"), evaluating(model):
        assert not any(m.training for m in model.modules()) and not torch.is_grad_enabled()
        raise ValueError("no")

    assert [m.training for m in model.modules()] == before and torch.is_grad_enabled()


def test_dropout_inside_recurrent_and_attention_layers_is_set_too() -> None:
    model = nn.ModuleList([nn.LSTM(2, 2, 2, dropout=0.5), nn.MultiheadAttention(2, 1, 0.5),
                           nn.Dropout2d(0.5), nn.AlphaDropout(0.5)])

    set_dropout(model, 0.0)

    assert [model[0].dropout, model[1].dropout, model[2].p, model[3].p] == [0.0] * 4


_FIRST = """
import gc, weakref
import torch
from builders import target
from torch import nn
from auditor.isolation import seeded
from auditor.trial import Bench
x = torch.randn(8, 4)
with seeded(0):
    bench = Bench(target(lambda: nn.Linear(4, 2), x, torch.ones(8, dtype=torch.long)))
    bench.step((x, torch.ones(8, dtype=torch.long)))
weight = weakref.ref(bench.model.weight)
del bench
gc.collect()
print(weight() is None)
"""


def test_the_first_bench_of_a_process_is_let_go_of() -> None:
    found = subprocess.run([sys.executable, "-W", "ignore", "-c", _FIRST], text=True, check=True,
                           capture_output=True, cwd=Path(__file__).parents[1])

    assert found.stdout.strip() == "True"


def test_a_train_method_of_its_own_is_called_as_every_loop_calls_it() -> None:
    class Frozen(nn.Sequential):
        def train(self, mode: bool = True) -> Any:
            super().train(mode)
            self[1].eval()
            return self

    x, y = torch.randn(8, 4), torch.ones(8, dtype=torch.long)
    model = Bench(target(lambda: Frozen(nn.Linear(4, 2), nn.BatchNorm1d(2)), x, y)).model

    assert model.training and not model[1].training  # type: ignore[index]
