"""Loss calls evaluated again: the same loss, settings and target on another input."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from auditor.functions import REGRESSION_LOSSES
from auditor.losscall import LossCall

CLASS_LOSSES = frozenset({"cross_entropy", "nll_loss", "multi_margin_loss"})
LOGIT_BINARY_LOSSES = frozenset({
    "binary_cross_entropy_with_logits", "multilabel_soft_margin_loss", "soft_margin_loss",
})
BINARY_LOSSES = LOGIT_BINARY_LOSSES | {"binary_cross_entropy"}
# Losses of one input and one target: the call holds all that is needed to evaluate them again.
COMPLETE_LOSSES = CLASS_LOSSES | BINARY_LOSSES | REGRESSION_LOSSES | {
    "kl_div", "poisson_nll_loss", "gaussian_nll_loss", "hinge_embedding_loss", "ctc_loss",
}
_LEGACY = ("size_average", "reduce")
# A watched loss is the user's whole loss when they agree this well.
_SAME = 1e-3
# Eight labels that happen to be a permutation of eight classes come up in 1 batch of 400.
_FEWEST_PAIRS = 8


def evaluate(call: LossCall, source: Tensor, *, reduction: str | None = None) -> Tensor:
    """Return the loss of another input against the call's target, under its own settings."""
    settings: dict[str, Any] = {k: v for k, v in call.settings.items() if k not in _LEGACY}
    if reduction is not None:
        settings["reduction"] = reduction
    settings = {k: _full(v) for k, v in settings.items()}
    given, target = _full(source), _full(call.target)
    if call.name in REGRESSION_LOSSES and given.shape != target.shape:
        # PyTorch would warn of it, on our account.
        given, target = torch.broadcast_tensors(  # type: ignore[no-untyped-call]
            given, target)
    loss: Tensor = getattr(F, call.name)(given, target, **settings)
    return loss


def value(call: LossCall) -> float | None:
    """Return what the call gave; None where it cannot be evaluated again or has no reduction.

    A training step's loss that differs from it has further terms.
    """
    if call.raised or call.target is None or call.name not in COMPLETE_LOSSES:
        return None
    with torch.no_grad():
        loss = evaluate(call, call.input)
    return float(loss) if loss.numel() == 1 else None


def scale_of(losses: Sequence[float], calls: Sequence[LossCall]) -> float | None:
    """Return the user's loss over what its only loss function gives, the same for every batch.

    Args:
        losses: The user's, of each batch.
        calls: The one call of each.

    Returns:
        None where there are further terms, or a call's value is not known.
    """
    if not calls or len(calls) != len(losses):
        return None
    values = [value(call) for call in calls]
    scales = [loss / known for loss, known in zip(losses, values, strict=True)
              if known is not None and math.isfinite(known) and known != 0]
    if len(scales) != len(losses) or not all(map(math.isfinite, scales)):
        return None
    scale = fmean(scales)
    same = all(abs(one - scale) <= _SAME * abs(scale) for one in scales)
    return scale if same else None


def per_sample_losses(call: LossCall) -> Tensor | None:
    """Return the loss of each sample, (N,): the mean over its positions that are not ignored.

    None where the loss cannot be evaluated again from its input and target alone.
    """
    if call.raised or call.target is None or call.name not in COMPLETE_LOSSES:
        return None
    if call.input.dim() < (2 if call.name in CLASS_LOSSES else 1):
        return None
    with torch.no_grad():
        losses = evaluate(call, call.input, reduction="none")
    if losses.dim() <= 1:
        return losses
    if call.name in CLASS_LOSSES and not is_soft(call):
        assert call.target is not None
        counted = (call.target != call.settings.get("ignore_index", -100)).flatten(1)
        means: Tensor = losses.flatten(1).sum(dim=1) / counted.sum(dim=1).clamp(min=1)
        return means
    return losses.flatten(1).mean(dim=1)


def is_soft(call: LossCall) -> bool:
    """Tell whether the targets are shares of the classes rather than their numbers."""
    return call.target is not None and call.target.is_floating_point()


def class_dim(call: LossCall) -> int:
    """Return the dimension of the input along which the classes lie."""
    return 1 if call.input.dim() > 1 and call.name != "kl_div" else call.input.dim() - 1


def is_two_valued(target: Tensor) -> bool:
    """Tell whether the targets are yes and no, not shares."""
    return int(torch.unique(target).numel()) <= 2


def is_distribution(call: LossCall) -> bool:
    """Tell whether a kl_div's targets are distributions over the last dimension."""
    if call.name != "kl_div" or call.target is None or call.target.dim() < 1:
        return False
    target = call.target.exp() if call.settings.get("log_target") else call.target
    sums = target.sum(dim=-1)
    return bool(torch.allclose(sums, torch.ones_like(sums), atol=1e-2))


def names_other_samples(call: LossCall) -> bool:
    """Tell whether the classes are the samples of the batch itself, as in contrastive learning.

    Each row then has a target of its own: a permutation of as many classes, or a running number.
    """
    if call.input.dim() != 2 or call.target is None or is_soft(call):
        return False
    rows, columns = call.input.shape
    if rows < _FEWEST_PAIRS or columns < rows or call.target.shape != (rows,):
        return False
    if rows == columns:
        return int(torch.unique(call.target).numel()) == rows
    return bool((call.target.diff() == 1).all())


def _full(value: Any) -> Any:
    """Return half-precision tensors as float32: marks are to be exact."""
    half = isinstance(value, Tensor) and value.dtype in (torch.float16, torch.bfloat16)
    return value.float() if half else value
