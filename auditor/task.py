"""What the loss calls say of the task: its kind and its score.

The loss's marks (`uninformed_loss`, `loss_floor`) and its values per sample are found here too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import torch

from auditor.functions import METRIC_LOSSES, REGRESSION_LOSSES
from auditor.losscall import LossCall
from auditor.lossmarks import loss_floor, uninformed_loss
from auditor.lossvalue import (
    BINARY_LOSSES,
    CLASS_LOSSES,
    COMPLETE_LOSSES,
    LOGIT_BINARY_LOSSES,
    class_dim,
    is_distribution,
    is_soft,
    is_two_valued,
    names_other_samples,
    per_sample_losses,
    value,
)

__all__ = [
    "Kind", "Score", "Task", "describe", "loss_floor", "per_sample_losses", "score",
    "uninformed_loss", "value",
]

Kind: TypeAlias = Literal[
    "classification", "binary", "multilabel", "regression", "language-model", "metric",
    "segmentation", "unknown",
]


@dataclass(frozen=True, slots=True)
class Task:
    """What is being learned.

    Attributes:
        kind: "metric" is contrastive learning, where the other samples of the batch are the
            classes; "language-model" is any classification of the positions of a sequence.
        classes: Number of classes or labels; 0 where there are none.
        main: The call that decides the task; auxiliary losses may stand beside it.
    """

    kind: Kind
    classes: int
    main: LossCall


class Score(NamedTuple):
    """How good the predictions are.

    Attributes:
        name: "accuracy" (share in [0, 1]) or "R2" (at most 1; 0 for the mean of the targets).
        value: Of it.
    """

    name: str
    value: float


def describe(calls: Sequence[LossCall], samples: int | None = None) -> Task | None:
    """Return the task behind the loss calls of one forward pass.

    Args:
        calls: In their order; calls that raised are passed over.
        samples: Samples in the batch; tells positions of sequences from samples.

    Returns:
        None when no known loss function was called.
    """
    usable = [call for call in calls if not call.raised]
    if not usable:
        return None
    main = min(usable, key=_rank)
    return Task(_kind(main, samples), _class_count(main), main)


def score(call: LossCall) -> Score | None:
    """Return the accuracy or R2 of the predictions in a call, or None where neither is defined.

    Positions of `ignore_index` do not count; soft targets are taken by their largest entry. R2 is
    about the mean of each output column over the batch.
    """
    if call.target is None or call.raised:
        return None
    if call.name in CLASS_LOSSES or is_distribution(call):
        return _accuracy(call)
    if call.name in BINARY_LOSSES and is_two_valued(call.target):
        middle = 0.0 if call.name == "soft_margin_loss" else 0.5
        said = call.input > (0.0 if call.name in LOGIT_BINARY_LOSSES else 0.5)
        return Score("accuracy", float((said == (call.target > middle)).float().mean()))
    if call.name in REGRESSION_LOSSES or call.name in BINARY_LOSSES:
        return _r2(call)
    return None


def _rank(call: LossCall) -> int:
    """Return how far a call stands from being the task itself rather than a help to it."""
    order: tuple[Callable[[LossCall], bool], ...] = (
        lambda c: c.name in CLASS_LOSSES and not is_soft(c),
        lambda c: c.name in CLASS_LOSSES | BINARY_LOSSES,
        lambda c: c.name in REGRESSION_LOSSES or c.name in COMPLETE_LOSSES - {"kl_div"},
        lambda c: c.name in METRIC_LOSSES,
    )
    return next((rank for rank, fits in enumerate(order) if fits(call)), len(order))


def _kind(call: LossCall, samples: int | None) -> Kind:
    if call.name in METRIC_LOSSES:
        return "metric"
    if call.name in REGRESSION_LOSSES or call.name in ("poisson_nll_loss", "gaussian_nll_loss"):
        return "regression"
    if call.name in CLASS_LOSSES:
        return _kind_of_classes(call, samples)
    if call.name in BINARY_LOSSES and call.target is not None:
        return _kind_of_binary(call)
    return "classification" if is_distribution(call) else "unknown"


def _kind_of_classes(call: LossCall, samples: int | None) -> Kind:
    if call.input.dim() >= 4:
        return "segmentation"
    if call.input.dim() == 3:
        return "language-model"
    if names_other_samples(call):
        return "metric"
    rows = call.input.shape[0] if call.input.dim() == 2 else 1
    return "language-model" if samples and rows > samples else "classification"


def _kind_of_binary(call: LossCall) -> Kind:
    assert call.target is not None
    if not is_two_valued(call.target):
        return "regression"
    if call.input.dim() >= 3:
        return "segmentation"
    return "multilabel" if call.input.dim() == 2 and call.input.shape[1] > 1 else "binary"


def _class_count(call: LossCall) -> int:
    if call.name in CLASS_LOSSES or is_distribution(call):
        return int(call.input.shape[class_dim(call)])
    if call.name in BINARY_LOSSES and call.input.dim() >= 2:
        return max(int(call.input.shape[1]), 2)
    return 2 if call.name in BINARY_LOSSES else 0


def _accuracy(call: LossCall) -> Score | None:
    assert call.target is not None
    dim = class_dim(call)
    said, target = call.input.argmax(dim=dim), call.target
    if is_soft(call):
        target = target.argmax(dim=dim)
    counted = torch.ones_like(target, dtype=torch.bool)
    if not is_soft(call) and "ignore_index" in call.settings:
        counted = target != call.settings["ignore_index"]
    if said.shape != target.shape or not bool(counted.any()):
        return None
    return Score("accuracy", float((said == target)[counted].float().mean()))


def _r2(call: LossCall) -> Score | None:
    assert call.target is not None
    said = call.input.sigmoid() if call.name in LOGIT_BINARY_LOSSES else call.input
    said, target = torch.broadcast_tensors(said.float(), call.target.float())  # type: ignore[no-untyped-call]
    if target.dim() == 0 or target.shape[0] < 2:
        return None
    total = (target - target.mean(dim=0)).square().sum()
    if float(total) == 0:
        return None
    return Score("R2", 1.0 - float((said - target).square().sum() / total))
