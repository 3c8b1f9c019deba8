"""Training steps are told from everything else that an audit does."""

from __future__ import annotations

import time

import pytest
import torch
from builders import target
from torch import nn

from auditor import worktime
from auditor.isolation import seeded
from auditor.plan import Planned, forecast
from auditor.probe import Cost
from auditor.trial import Bench


class Slow(nn.Module):
    """A model whose forward pass takes a known time."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        time.sleep(0.05)
        return self.fc(x)  # type: ignore[no-any-return]


def test_steps_are_counted_and_what_lies_between_is_not() -> None:
    x, y = torch.randn(8, 3), torch.zeros(8, dtype=torch.long)
    with seeded(0):
        bench = Bench(target(Slow, x, y))
        before = worktime.seconds()

        bench.step((x, y))
        time.sleep(0.2)
        bench.step((x, y))

    assert 0.1 <= worktime.seconds() - before


def test_a_step_inside_of_a_step_counts_once() -> None:
    before = worktime.seconds()

    with worktime.counted(worktime.UPDATE), worktime.counted(worktime.FORWARD):
        time.sleep(0.05)

    assert 0.05 <= worktime.seconds() - before < 0.1


def test_other_code_of_the_user_does_not_count() -> None:
    before = worktime.seconds()

    with worktime.counted("making the model"):
        time.sleep(0.01)

    assert worktime.seconds() == before


class _Probe:
    name, cost = "long", Cost(steps=100)


@pytest.mark.parametrize(("left", "says"), [
    (60.0, "about 25 s: 2 probes, steps of 125 ms"),
    (20.0, "about 25 s, cut at 20 s: 2 probes, steps of 125 ms"),
])
def test_the_time_to_come_is_told_from_the_measured_step(left: float, says: str) -> None:
    planned = [Planned(_Probe, 12.5, 1.0, 12.5, 0.0)] * 2  # type: ignore[arg-type]

    assert forecast(planned, 0.125, left) == says
