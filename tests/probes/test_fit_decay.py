"""Would a decay of the rate end lower than the rate as it is?"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from builders import observe, part_of_probes, target
from torch import nn

from auditor.isolation import seeded
from auditor.observation import Observation
from auditor.probe import Notebook, ProbeContext
from auditor.store import BatchStore
from auditor.target import Target
from auditor.trial import Bench

note_decay = part_of_probes("_fit_decay").note_decay
evaluate = part_of_probes("_evaluate").evaluate
DECAY = part_of_probes("_fit_decay").DECAY

_GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(1600, 20, generator=_GENERATOR)
Y = (X @ torch.randn(20, 4, generator=_GENERATOR)
     + 2.0 * torch.randn(1600, 4, generator=_GENERATOR)).argmax(1)


def at(lr: float, **changes: Any) -> Target:
    """Return a linear model on noisy labels, whose loss has a floor far above zero."""
    return target(lambda: nn.Linear(20, 4), X, Y, optimizer=torch.optim.SGD, lr=lr,
                  batch_size=8, **changes)


def gain(observation: Observation) -> float:
    return float(observation.value("decay_gain") or 0.0)


def test_a_rate_that_dances_about_the_minimum_gains_by_a_decay() -> None:
    high, low = observe("fit", at(3.0)), observe("fit", at(0.1))

    assert gain(high) > 0.2 and float(high.value("decay_gain_z") or 0) > 2
    assert gain(low) < 0.02


def test_a_run_that_still_falls_is_not_asked() -> None:
    assert "still falls" in observe("fit", at(0.02)).absent["decay_gain"]


def test_a_schedule_leaves_no_advice_on_schedules() -> None:
    def decay(optimizer: torch.optim.Optimizer) -> Any:
        return torch.optim.lr_scheduler.StepLR(optimizer, 10)

    assert "a schedule is set" in observe("fit", at(1.0, make_scheduler=decay)).absent["decay_gain"]


@pytest.mark.parametrize("seconds", [0.0, 1e8])
def test_it_takes_no_time_that_is_not_there_and_puts_the_run_back(seconds: float) -> None:
    audited = at(1.0)
    store = BatchStore(audited, 0)
    note = Notebook("fit", part_of_probes("fit").Fit.yields)
    context = ProbeContext(audited, store, note, 0, step_seconds=seconds, deadline=1e9)
    with seeded(0):
        bench = Bench(audited)
        before = [p.detach().clone() for p in bench.model.parameters()]
        note_decay(context, bench, store.cycled, store.train(4),
                   evaluate(bench, store.train(4), 0), fall=0.0, level=0.5, left=1.0)

    seen = note.observation()
    assert set(seen.missed) == (set(DECAY) if seconds else set())
    assert all(map(torch.equal, before, bench.model.parameters()))
    assert bench.steps == 0 and bench.lr == 1.0
