"""Weight decay: off, or higher; an L1 penalty."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import nn
from torch.optim import Optimizer

from auditor.mending import with_optimizer
from auditor.remedy import CannotMend, Case, Judges, Mended
from auditor.sourceedit import Edit

_HIGHER = 10.0
# What is tried where there is none: usual for decoupled decay, and for an L2 penalty.
_DECOUPLED, _PENALTY = 0.1, 1e-3
_L1 = 3e-5


class DecayOff:
    """Switches weight decay off."""

    name: ClassVar[str] = "decay-off"
    says: ClassVar[str] = "switches weight decay off"

    def mend(self, case: Case) -> Mended:
        """Return the target without weight decay.

        Raises:
            CannotMend: There is none.
        """
        if not _decay_of(case):
            raise CannotMend("the optimizer applies no weight decay")
        return _with_decay(case, 0.0, "held-out")


class DecayUp:
    """Raises weight decay; judged on the validation batches."""

    name: ClassVar[str] = "decay-up"
    says: ClassVar[str] = "raises weight decay"

    def mend(self, case: Case) -> Mended:
        """Return the target with more weight decay.

        Raises:
            CannotMend: The optimizer has no weight decay.
        """
        present = _decay_of(case)
        if present is None:
            raise CannotMend("the optimizer has no weight decay")
        name = case.look(lambda bench, _: type(bench.optimizer).__name__)
        usual = _DECOUPLED if name.endswith("W") else _PENALTY
        return _with_decay(case, max(_HIGHER * present, usual), "validation")


class L1Penalty:
    """Adds an L1 penalty on the weights; judged on the validation batches."""

    name: ClassVar[str] = "l1-penalty"
    says: ClassVar[str] = "adds an L1 penalty on the weights"

    def mend(self, case: Case) -> Mended:
        """Return the target whose gradients hold that of the penalty; its loss stays as it is."""
        return Mended(
            lambda target: with_optimizer(target, _penalised), judges="validation",
            says=f"Add an L1 penalty of {_L1:g} on the weights.",
            code=f"loss = loss + {_L1:g} * sum(\n"
                 "    p.abs().sum() for p in model.parameters() if p.dim() > 1)")


def _penalised(optimizer: Optimizer, _: nn.Module) -> None:
    def before_step(stepped: Optimizer, *_: Any) -> None:
        with torch.no_grad():
            for group in stepped.param_groups:
                for parameter in group["params"]:
                    # Biases and the scales of normalisation are left alone.
                    if parameter.grad is not None and parameter.dim() > 1:
                        parameter.grad.add_(parameter.sign(), alpha=_L1)

    optimizer.register_step_pre_hook(before_step)


def _decay_of(case: Case) -> float | None:
    found: float | None = case.look(
        lambda bench, _: bench.optimizer.param_groups[0].get("weight_decay"))
    return None if found is None else float(found)


def _with_decay(case: Case, decay: float, judges: Judges) -> Mended:
    decay = float(f"{decay:.2g}")
    name = case.look(lambda bench, _: type(bench.optimizer).__name__)
    place = case.target.optimizer_place

    def change(optimizer: Optimizer, _: nn.Module) -> None:
        for group in optimizer.param_groups:
            # Groups that are kept from decay on purpose stay so.
            if group["weight_decay"] or not _has_groups(optimizer):
                group["weight_decay"] = decay

    return Mended(
        lambda target: with_optimizer(target, change), judges=judges,
        says=f"Set the weight decay to {decay:g}." if decay else "Switch the weight decay off.",
        code=f"optimizer = torch.optim.{name}(model.parameters(), lr=..., weight_decay={decay:g})",
        edits=(Edit("set-keyword", place, "weight_decay", f"{decay:g}"),) if place else ())


def _has_groups(optimizer: Optimizer) -> bool:
    """Tell whether an optimizer treats some parameters otherwise than others."""
    return len({group["weight_decay"] for group in optimizer.param_groups}) > 1
