"""Class weights against rare classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from auditor.mending import with_calls
from auditor.remedy import CannotMend, Case, Mended
from auditor.sourceedit import Edit


class ClassWeights:
    """Weighs the classes of a cross-entropy by their inverse frequency."""

    name: ClassVar[str] = "class-weights"
    says: ClassVar[str] = "weighs classes by their inverse frequency"

    def mend(self, case: Case) -> Mended:
        """Return the target with class weights; it is judged by the mean recall over classes.

        Raises:
            CannotMend: No weights were computed.
        """
        text = case.value("class_weights")
        if not isinstance(text, str) or not text:
            raise CannotMend("no class weights were computed")
        weights = torch.tensor([float(part) for part in text.split(",")])

        def instead(_: str, function: Callable[..., Any]) -> Callable[..., Any] | None:
            return _weighted(weights) if function is F.cross_entropy else None

        loss = type(case.target.loss_fn).__name__
        place = case.target.loss_place if loss == "CrossEntropyLoss" else None
        return Mended(
            lambda target: with_calls(target, instead), keeps_loss=False, balanced=True,
            edits=(Edit("set-keyword", place, "weight", f"torch.tensor([{text}])"),)
            if place else ())


def _weighted(weights: torch.Tensor) -> Callable[..., Any]:
    def cross_entropy(input: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        if input.dim() < 2 or input.shape[1] != len(weights):
            return F.cross_entropy(input, *args, **kwargs)
        own = weights.to(input.device, input.dtype)
        return F.cross_entropy(input, args[0] if args else kwargs.pop("target"),
                               **{**_named(args[1:]), **kwargs, "weight": own})

    return cross_entropy


def _named(rest: tuple[Any, ...]) -> dict[str, Any]:
    """Return the positional settings of `F.cross_entropy` behind the target by name."""
    names = ("weight", "size_average", "ignore_index", "reduce", "reduction", "label_smoothing")
    return dict(zip(names, rest, strict=False))
