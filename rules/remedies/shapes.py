"""Outputs and targets of one shape."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from torch import Tensor, nn

from auditor import batches
from auditor.functions import LOSSES
from auditor.mending import with_calls
from auditor.remedy import CannotMend, Case, Mended
from auditor.sourceedit import Edit
from auditor.target import LossResult, Target, as_loss
from auditor.trial import Bench


class AlignShapes:
    """Gives the output the shape of the target before they are compared."""

    name: ClassVar[str] = "align-shapes"
    says: ClassVar[str] = "gives outputs and targets one shape"

    def mend(self, case: Case) -> Mended:
        """Return the target whose loss compares element by element.

        Raises:
            CannotMend: Output and target do not hold equally many values.
        """
        if case.target.kind != "loss":
            return Mended(lambda target: with_calls(target, _aligning), judged_mended=True)
        output, wanted = case.look(_shapes)
        if output.numel() != wanted.numel():
            raise CannotMend(f"{tuple(output.shape)} and {tuple(wanted.shape)} hold different "
                             "numbers of values")
        squeezes = tuple(output.shape) == (*wanted.shape, 1)
        return Mended(
            _with_aligned_loss, judged_mended=True,
            edits=(Edit("squeeze-output", case.target.model_place, code=".squeeze(-1)"),)
            if squeezes else ())


@dataclass(frozen=True)
class _AlignedLoss:
    """`loss_fn` on an output in the shape of the target."""

    loss_fn: Any

    def __call__(self, model: nn.Module, batch: Any) -> LossResult:
        """Return the loss of one batch."""
        parts = batches.split(batch)
        output = model(*parts.args, **parts.kwargs)
        aligned = output.reshape(parts.target.shape)
        return LossResult(as_loss(self.loss_fn(aligned, parts.target)), output)


def _with_aligned_loss(target: Target) -> Target:
    return replace(target, compute=_AlignedLoss(target.loss_fn))


def _shapes(bench: Bench, batch: Any) -> tuple[Tensor, Tensor]:
    output, wanted = bench.loss(batch).output, batches.split(batch).target
    if not isinstance(output, Tensor) or not isinstance(wanted, Tensor):
        raise CannotMend("output and target are not one tensor each")
    return output, wanted


def _aligning(_: str, function: Any) -> Any:
    if function not in LOSSES:
        return None

    def aligned(first: Any, second: Any, *args: Any, **kwargs: Any) -> Any:
        fits = isinstance(second, Tensor) and first.numel() == second.numel()
        return function(first.reshape(second.shape) if fits else first, second, *args, **kwargs)

    return aligned
