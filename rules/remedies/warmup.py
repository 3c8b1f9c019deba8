"""A linear warm-up of the learning rate."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from torch.optim.lr_scheduler import LinearLR

from auditor.remedy import CannotMend, Case, Mended

_STEPS = 500
_BEGIN = 0.01


class WarmUp:
    """Begins at a hundredth of the rate and rises in a straight line."""

    name: ClassVar[str] = "warm-up"
    says: ClassVar[str] = "warms the learning rate up linearly"

    def mend(self, case: Case) -> Mended:
        """Return the target with a warm-up (shortened in the trial, as any warm-up).

        Raises:
            CannotMend: The user has a schedule already.
        """
        if case.target.make_scheduler is not None:
            raise CannotMend("the set-up has a schedule of its own")
        return Mended(
            lambda target: replace(target, make_scheduler=lambda optimizer: LinearLR(
                optimizer, start_factor=_BEGIN, total_iters=_STEPS)),
            says=f"Warm the rate up linearly over the first {_STEPS} steps.",
        )
