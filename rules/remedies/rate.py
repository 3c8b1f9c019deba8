"""Another learning rate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

from torch import nn
from torch.optim import Optimizer

from auditor.isolation import seeded
from auditor.mending import set_rate, with_optimizer
from auditor.remedy import CannotMend, Case, Mended
from auditor.sourceedit import Edit
from auditor.target import Target
from auditor.trial import Bench

_LOWER = 0.1
# A schedule that sets rates of its own is told by a peak that is this far from what was asked.
_OFF = 1e-3


class SuggestedRate:
    """Sets the rate that won the race."""

    name: ClassVar[str] = "suggested-rate"
    says: ClassVar[str] = "sets the rate that the learning-rate trial suggests"

    def mend(self, case: Case) -> Mended:
        """Return the target at the suggested rate.

        Raises:
            CannotMend: No rate was suggested.
        """
        lr = case.number("suggested_lr")
        if not lr > 0:
            raise CannotMend("no rate was suggested")
        return at_rate(case, float(f"{lr:.2g}"))


class LowerRate:
    """Takes a tenth of the rate."""

    name: ClassVar[str] = "lower-rate"
    says: ClassVar[str] = "lowers the learning rate to a tenth"

    def mend(self, case: Case) -> Mended:
        """Return the target at a tenth of its rate."""
        lr: float = case.look(lambda bench, _: bench.lr)
        return at_rate(case, float(f"{_LOWER * lr:.2g}"))


def at_rate(case: Case, lr: float) -> Mended:
    """Return the remedy that sets the first group's rate; other groups keep their ratio to it."""
    name = case.look(lambda bench, _: type(bench.optimizer).__name__)
    place = case.target.optimizer_place
    return Mended(
        lambda target: _with_rate(target, lr, case.seed),
        says=f"Set the learning rate to {lr:g}.",
        code=f"optimizer = torch.optim.{name}(model.parameters(), lr={lr:g})",
        edits=(Edit("set-keyword", place, "lr", f"{lr:g}", position=1),) if place else ())


def _with_rate(target: Target, lr: float, seed: int) -> Target:
    mended = with_optimizer(target, _setting(target, lr, seed))
    with seeded(seed):
        peak = Bench(mended).lr
    if abs(peak - lr) <= _OFF * lr:
        return mended
    # The schedule brings rates of its own (OneCycleLR); without it the rate is what was asked.
    return with_optimizer(replace(target, make_scheduler=None), _to_first(lr))


def _setting(target: Target, lr: float, seed: int) -> Callable[[Optimizer, nn.Module], None]:
    with seeded(seed):
        peak = Bench(target).lr
    if not peak > 0:
        return _to_first(lr)

    def scale(optimizer: Optimizer, _: nn.Module) -> None:
        for group in optimizer.param_groups:
            set_rate(group, float(group["lr"]) * lr / peak)

    return scale


def _to_first(lr: float) -> Callable[[Optimizer, nn.Module], None]:
    def change(optimizer: Optimizer, _: nn.Module) -> None:
        first = float(optimizer.param_groups[0]["lr"])
        for group in optimizer.param_groups:
            set_rate(group, lr * (float(group["lr"]) / first if first else 1.0))

    return change
