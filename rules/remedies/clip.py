"""Gradients clipped at a norm from the run."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from torch import nn
from torch.optim import Optimizer

from auditor.mending import with_optimizer
from auditor.remedy import CannotMend, Case, Mended


class Clip:
    """Clips the total gradient norm."""

    name: ClassVar[str] = "clip"
    says: ClassVar[str] = "clips gradients at a norm taken from the run"

    def mend(self, case: Case) -> Mended:
        """Return the target with clipped gradients.

        Raises:
            CannotMend: The norm was not measured.
        """
        subjects = [*case.finding.layers, ""]
        norms = [value for subject in subjects
                 if isinstance(value := case.value("gradient_clip_norm", subject), float)
                 and math.isfinite(value) and value > 0]
        if not norms:
            raise CannotMend("no norm was measured to clip at")
        norm = float(f"{norms[0]:.2g}")

        def change(optimizer: Optimizer, model: nn.Module) -> None:
            def before_step(stepped: Optimizer, *_: Any) -> None:
                nn.utils.clip_grad_norm_(
                    [p for group in stepped.param_groups for p in group["params"]], norm)

            optimizer.register_step_pre_hook(before_step)

        return Mended(
            lambda target: with_optimizer(target, change),
            says=f"Clip the gradient at a norm of {norm:g}.",
            code=f"torch.nn.utils.clip_grad_norm_(model.parameters(), {norm:g})")
