"""Losses against rare classes: class weights, and the focal loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from auditor.losscall import LossCalls
from auditor.lossvalue import is_two_valued
from auditor.mending import with_calls
from auditor.recorder import watching
from auditor.remedy import CannotMend, Case, Mended
from auditor.sourceedit import Edit
from auditor.trial import Bench

_GAMMA = 2.0


class ClassWeights:
    """Weighs the classes of a cross-entropy, of many classes or of two, by inverse frequency."""

    name: ClassVar[str] = "class-weights"
    says: ClassVar[str] = "weighs classes by their inverse frequency"

    def mend(self, case: Case) -> Mended:
        """Return the target with class weights; it is judged by the mean recall over classes.

        Raises:
            CannotMend: No weights were computed, or the loss takes none of them.
        """
        text = case.value("class_weights")
        if not isinstance(text, str) or not text:
            raise CannotMend("no class weights were computed")
        weights = [float(part) for part in text.split(",")]
        if case.look(_takes_cross_entropy):
            own = _weighted(torch.tensor(weights))
            return self._mended(case, F.cross_entropy, own, "CrossEntropyLoss", "weight",
                                f"torch.tensor([{text}])")
        if len(weights) == 2 and weights[0] > 0 and case.look(_takes_two_classes):
            rare = float(f"{weights[1] / weights[0]:.3g}")
            return self._mended(
                case, F.binary_cross_entropy_with_logits, _with_positive_weight(rare),
                "BCEWithLogitsLoss", "pos_weight", f"torch.tensor({rare:g})")
        raise CannotMend("the loss is no cross-entropy over class numbers")

    @staticmethod
    def _mended(
        case: Case, old: Callable[..., Any], new: Callable[..., Any], loss: str, name: str,
        code: str,
    ) -> Mended:
        def instead(_: str, function: Callable[..., Any]) -> Callable[..., Any] | None:
            return new if function is old else None

        is_own = type(case.target.loss_fn).__name__ == loss
        place = case.target.loss_place if is_own else None
        return Mended(
            lambda target: with_calls(target, instead), keeps_loss=False, balanced=True,
            code=f"loss_fn = nn.{loss}({name}={code})" if is_own else "",
            edits=(Edit("set-keyword", place, name, code),) if place else ())


class FocalLoss:
    """Plays down the samples that are right already."""

    name: ClassVar[str] = "focal-loss"
    says: ClassVar[str] = "uses the focal loss in place of cross-entropy"

    def mend(self, case: Case) -> Mended:
        """Return the target with the focal loss; it is judged by the mean recall over classes.

        Raises:
            CannotMend: No cross-entropy over classes is taken.

        Source: Lin et al. 2017, Focal Loss for Dense Object Detection, arXiv:1708.02002.
        """
        if not case.look(_takes_cross_entropy):
            raise CannotMend("the loss is no cross-entropy over class numbers")

        def instead(_: str, function: Callable[..., Any]) -> Callable[..., Any] | None:
            return _focal if function is F.cross_entropy else None

        return Mended(
            lambda target: with_calls(target, instead), keeps_loss=False, balanced=True)


def _takes_cross_entropy(bench: Bench, batch: Any) -> bool:
    calls = LossCalls()
    with watching(bench.model, calls):
        bench.loss(batch)
    return any(call.name == "cross_entropy" and not call.target.is_floating_point()
               for call in calls.calls if isinstance(call.target, torch.Tensor))


def _takes_two_classes(bench: Bench, batch: Any) -> bool:
    calls = LossCalls()
    with watching(bench.model, calls):
        bench.loss(batch)
    return any(call.name == "binary_cross_entropy_with_logits" and call.target is not None
               and is_two_valued(call.target) and call.settings.get("pos_weight") is None
               for call in calls.calls)


def _with_positive_weight(weight: float) -> Callable[..., Any]:
    def binary_cross_entropy(input: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        own = torch.tensor(weight, device=input.device, dtype=input.dtype)
        return F.binary_cross_entropy_with_logits(input, *args, **{**kwargs, "pos_weight": own})

    return binary_cross_entropy


def _focal(input: torch.Tensor, target: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    settings = {**_named(args), **kwargs, "reduction": "none"}
    losses = F.cross_entropy(input, target, **settings)
    counted = target != settings.get("ignore_index", -100)
    focal = (1.0 - torch.exp(-losses)) ** _GAMMA * losses
    return focal[counted].mean()


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
