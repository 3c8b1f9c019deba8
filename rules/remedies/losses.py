"""Other losses: the one that takes raw scores, padding left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from torch.nn import functional as F  # noqa: N812 - the field's name for it

from auditor.mending import with_calls
from auditor.remedy import CannotMend, Case, Mended
from auditor.sourceedit import Edit

_LOGITS: dict[Callable[..., Any], Callable[..., Any]] = {
    F.nll_loss: F.cross_entropy,
    F.binary_cross_entropy: F.binary_cross_entropy_with_logits,
}
_NAMES = {"NLLLoss": "CrossEntropyLoss", "BCELoss": "BCEWithLogitsLoss",
          "nll_loss": "cross_entropy", "binary_cross_entropy": "binary_cross_entropy_with_logits"}


class LogitsLoss:
    """Exchanges the loss for the one that takes raw scores."""

    name: ClassVar[str] = "logits-loss"
    says: ClassVar[str] = "uses the loss that takes raw scores"

    def mend(self, case: Case) -> Mended:
        """Return the target with the loss for raw scores.

        Raises:
            CannotMend: The loss has no such relative.
        """
        said = str(case.value("loss_name") or "")
        old = type(case.target.loss_fn).__name__
        known = old if old in _NAMES else said
        if known not in _NAMES:
            raise CannotMend(f"no loss for raw scores is known in place of {known or 'this one'}")
        place = case.target.loss_place if old in _NAMES else None
        return Mended(
            lambda target: with_calls(target, lambda _, function: _LOGITS.get(function)),
            keeps_loss=False,
            says=f"Use {_NAMES[known]} in place of {known}.",
            code=f"loss_fn = nn.{_NAMES[known]}()" if old in _NAMES else
                 f"loss = F.{_NAMES[known]}(output, target)",
            edits=(Edit("rename-call", place, old, _NAMES[old]),) if place else ())


class IgnorePadding:
    """Leaves padding out of the loss."""

    name: ClassVar[str] = "ignore-padding"
    says: ClassVar[str] = "leaves padding positions out of the loss"

    def mend(self, case: Case) -> Mended:
        """Return the target whose loss ignores the padding value."""
        padding = int(case.number("padding_value"))
        place = case.target.loss_place if type(
            case.target.loss_fn).__name__ == "CrossEntropyLoss" else None

        def instead(_: str, function: Callable[..., Any]) -> Callable[..., Any] | None:
            if function is not F.cross_entropy:
                return None
            return lambda *args, **kwargs: F.cross_entropy(
                *args, **{**kwargs, "ignore_index": padding})

        return Mended(
            lambda target: with_calls(target, instead), judged_mended=True,
            edits=(Edit("set-keyword", place, "ignore_index", str(padding)),) if place else ())
