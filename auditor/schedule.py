"""The user's learning-rate schedule, read off without training: peak rates, warm-up, decay."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.optim import Optimizer

from auditor.errors import TargetError
from auditor.usercode import user_code

if TYPE_CHECKING:
    from auditor.target import Target

_HORIZON = 2000
# A trial's steps are few: the user's warm-up is shortened to these, and kept as a ramp.
TRIAL_WARMUP = 10
# A schedule that begins below this part of its peak warms up.
_COLD = 0.5


@dataclass(frozen=True)
class Schedule:
    """What the schedule does over its first steps.

    Attributes:
        peak_rates: Largest rate of each group; the plain rates when there is no schedule.
        values: First group's rate at each step of the horizon; empty without a schedule.
        warms_up: It begins well below its peak.
        warmup_steps: Scheduler steps until the peak.
    """

    peak_rates: list[float]
    values: Sequence[float] = ()
    warms_up: bool = False
    warmup_steps: int = 0

    def warmup_factor(self, step: int, wanted: int | None = None) -> float:
        """Return what the peak rate is multiplied with at a step of a trial.

        Args:
            step: 0-based step of the trial.
            wanted: Length of another warm-up in steps; None keeps the user's (shortened).
        """
        length = wanted
        if length is None:
            length = min(self.warmup_steps, TRIAL_WARMUP) if self.warms_up else 0
        return min(1.0, (step + 1) / length) if length else 1.0


def schedule_of(target: Target, optimizer: Optimizer) -> Schedule:
    """Step the user's schedule on an optimizer of its own, without training, and read the rates.

    The optimizer that is given is not touched.

    Raises:
        TargetError: The schedule could not be made, or the optimizer has no rate.
    """
    rates = _rates(optimizer)
    if target.make_scheduler is None:
        return Schedule(rates)
    stand_in = _stand_in(optimizer)
    with user_code("making the scheduler"):
        scheduler = target.make_scheduler(stand_in)
    if not hasattr(scheduler, "step") or _needs_metric(scheduler):
        return Schedule(rates)
    curve = [_rates(stand_in)]
    with warnings.catch_warnings(), user_code("stepping the scheduler"):
        warnings.simplefilter("ignore")
        length = min(getattr(scheduler, "total_steps", None) or _HORIZON, _HORIZON)
        while len(curve) < length:
            try:
                scheduler.step()
            except ValueError:
                # OneCycleLR and others raise once their whole length has been stepped.
                break
            curve.append(_rates(stand_in))
    peak = max(range(len(curve)), key=lambda step: curve[step][0])
    values = [rates[0] for rates in curve]
    warms = values[0] < _COLD * values[peak] and peak > 0
    return Schedule(curve[peak], values, warms, peak if warms else 0)


def _stand_in(optimizer: Optimizer) -> Optimizer:
    """Return an optimizer of the same class and groups over parameters of its own."""
    groups = []
    for group in optimizer.param_groups:
        settings = {k: v for k, v in group.items() if k not in ("params", "initial_lr")}
        groups.append({"params": [torch.nn.Parameter(torch.zeros(1))], **settings})
    stand_in = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    stand_in.param_groups.clear()
    for group in groups:
        stand_in.param_groups.append(group)
    stand_in.defaults = dict(optimizer.defaults)
    return stand_in


def _rates(optimizer: Optimizer) -> list[float]:
    if any(group.get("lr") is None for group in optimizer.param_groups):
        raise TargetError(
            f"{type(optimizer).__name__} sets its own learning rate (lr=None), and the audit "
            "judges rates.", hint="Give it a rate (for Adafactor: relative_step=False).",
        )
    return [float(group["lr"]) for group in optimizer.param_groups]


def _needs_metric(scheduler: object) -> bool:
    return isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau)
