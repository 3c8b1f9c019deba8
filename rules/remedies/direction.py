"""The loss the right way round."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from torch import nn
from torch.optim import Optimizer

from auditor.mending import with_optimizer
from auditor.remedy import Case, Mended
from auditor.target import ComputeLoss, LossResult, Target


class LowerLoss:
    """Makes steps lower the loss function's value."""

    name: ClassVar[str] = "lower-loss"
    says: ClassVar[str] = "lets steps lower the loss instead of raising it"

    def mend(self, case: Case) -> Mended:
        """Return the target whose optimizer minimises, or whose loss has lost its minus."""
        if case.look(lambda bench, _: _maximises(bench.optimizer)):
            return Mended(lambda target: with_optimizer(target, _minimise),
                          says="Take `maximize=True` from the optimizer.")
        return Mended(_turned, judged_mended=True, says="Take the minus from the loss.")


def _maximises(optimizer: Optimizer) -> bool:
    return any(group.get("maximize", False) for group in optimizer.param_groups)


def _minimise(optimizer: Optimizer, _: nn.Module) -> None:
    for group in optimizer.param_groups:
        group["maximize"] = False


def _turned(target: Target) -> Target:
    return replace(target, compute=_Turned(target.compute))


@dataclass(frozen=True)
class _Turned:
    """A loss with the other sign."""

    compute: ComputeLoss

    def __call__(self, model: nn.Module, batch: Any) -> LossResult:
        """Return the loss of one batch."""
        result = self.compute(model, batch)
        return result._replace(loss=-result.loss)
