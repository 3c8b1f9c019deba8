"""The marks of a loss: what an uninformed model gets, and the smallest value that can be reached.

Both are found by calling the loss itself, so that its class weights, label smoothing, `pos_weight`
or `ignore_index` count as they do in training.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from auditor.functions import METRIC_LOSSES, REGRESSION_LOSSES
from auditor.losscall import LossCall
from auditor.lossvalue import (
    BINARY_LOSSES,
    CLASS_LOSSES,
    LOGIT_BINARY_LOSSES,
    class_dim,
    evaluate,
    is_distribution,
    is_soft,
    names_other_samples,
)

_ZERO_FLOOR = METRIC_LOSSES | REGRESSION_LOSSES | {"multi_margin_loss", "ctc_loss"}
# Where a probability of zero stands in logarithms; its share of the loss is exactly zero.
_LOG_ZERO = -100.0
_BISECTIONS = 50
_ROUNDING = 1e-5


def uninformed_loss(calls: Sequence[LossCall]) -> float | None:
    """Return the loss of the best prediction that does not look at the input.

    That is one constant per class, output column or channel: the classes' frequencies for
    cross-entropy (the loss is then their entropy), the mean for squared errors (their variance),
    the median for absolute ones, each as the loss's own weights and smoothing shift it.

    Args:
        calls: Of one and the same loss over one or several batches; their targets are pooled.

    Returns:
        Mean over the batches of the loss under its own reduction; None for losses without a
        best constant and for mixed calls.
    """
    usable = [call for call in calls if not call.raised and call.target is not None]
    if not usable or len({call.name for call in usable}) != 1:
        return None
    first = usable[0]
    if first.name in METRIC_LOSSES or names_other_samples(first) or first.reduction == "none":
        return None
    with torch.no_grad():
        if first.name in ("cross_entropy", "nll_loss") or is_distribution(first):
            mass = torch.stack([_mass(call).flatten(0, -2).sum(dim=0) for call in usable]).sum(0)
            constant: Tensor | None = _spread(first, _log_share(mass))
        else:
            constant = _best_constant(usable)
        if constant is None:
            return None
        losses = [evaluate(call, constant.expand(call.input.shape).contiguous()) for call in usable]
    return float(torch.stack(losses).mean())


def loss_floor(call: LossCall) -> float | None:
    """Return the smallest loss that any prediction can reach for these targets.

    Zero for hard targets and errors, the entropy of smoothed or soft targets; None where it is
    not known (a contrastive loss over bounded similarities, a likelihood with a free variance).
    """
    if call.raised or (call.name in CLASS_LOSSES and names_other_samples(call)):
        return None
    if call.name in _ZERO_FLOOR:
        return 0.0
    if call.target is None or call.reduction == "none":
        return None
    best = _best_input(call)
    if best is None:
        return None
    with torch.no_grad():
        floor = float(evaluate(call, best))
    # Rounding leaves hard targets a hair below or above the zero that they can reach.
    return floor if abs(floor) > _ROUNDING else 0.0


def _mass(call: LossCall) -> Tensor:
    """Return how much each class counts at each position, (..., C): what -log p is times."""
    assert call.target is not None
    dim = class_dim(call)
    classes = call.input.shape[dim]
    smoothing = float(call.settings.get("label_smoothing") or 0.0)
    if call.name == "kl_div":
        mass = call.target.exp() if call.settings.get("log_target") else call.target
    elif is_soft(call):
        mass = call.target.movedim(dim, -1)
    else:
        ignored = call.target == call.settings.get("ignore_index", -100)
        mass = F.one_hot(call.target.masked_fill(ignored, 0).long(), classes).float()
        mass = mass.masked_fill(ignored.unsqueeze(-1), 0.0)
    counted = mass.sum(dim=-1, keepdim=True)
    mass = (1 - smoothing) * mass.float() + smoothing / classes * counted
    weight = call.settings.get("weight")
    mass = mass * weight.float() if isinstance(weight, Tensor) else mass
    return mass if mass.dim() > 1 else mass.unsqueeze(0)


def _log_share(mass: Tensor) -> Tensor:
    share = mass / mass.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(mass.dtype).tiny)
    return share.log().clamp(min=_LOG_ZERO)


def _spread(call: LossCall, by_class: Tensor) -> Tensor:
    """Return (C,) values shaped so that they broadcast along the class dimension."""
    shape = [1] * call.input.dim()
    shape[class_dim(call)] = -1
    return by_class.reshape(shape)


def _best_constant(calls: Sequence[LossCall]) -> Tensor | None:
    """Return the constant per output column that minimises a loss that is convex in it.

    Bisection on the sign of the loss's own gradient; the columns do not touch each other.
    """
    first = calls[0]
    bracket = _bracket(calls)
    if bracket is None or len({_column_shape(call) for call in calls}) != 1:
        return None
    low, high = (
        torch.full(_column_shape(first), end, dtype=torch.float64, device=first.input.device)
        for end in bracket
    )
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        rises = _slope(calls, middle) > 0
        low, high = torch.where(rises, low, middle), torch.where(rises, middle, high)
    return ((low + high) / 2).float()


def _bracket(calls: Sequence[LossCall]) -> tuple[float, float] | None:
    """Return two constants between which the best one lies."""
    name = calls[0].name
    if name in REGRESSION_LOSSES:
        targets = [call.target for call in calls if call.target is not None]
        return min(float(t.min()) for t in targets), max(float(t.max()) for t in targets)
    in_logarithms = name == "poisson_nll_loss" and calls[0].settings["log_input"]
    if name in LOGIT_BINARY_LOSSES or in_logarithms:
        return -30.0, 30.0
    return (1e-6, 1 - 1e-6) if name == "binary_cross_entropy" else None


def _column_shape(call: LossCall) -> tuple[int, ...]:
    """Return the shape of one constant per column, per feature of a sequence, or per channel."""
    dims = call.input.dim()
    kept = {0: None, 1: None, 2: 1, 3: 2}.get(dims, 1)
    return tuple(call.input.shape[d] if d == kept else 1 for d in range(dims))


def _slope(calls: Sequence[LossCall], constant: Tensor) -> Tensor:
    with torch.enable_grad():
        leaf = constant.float().requires_grad_()
        total = torch.stack([
            evaluate(call, leaf.expand(call.input.shape), reduction="sum") for call in calls
        ]).sum()
        (slope,) = torch.autograd.grad(total, leaf)
    return slope.double()


def _best_input(call: LossCall) -> Tensor | None:
    """Return the input that fits each target as well as the loss allows."""
    assert call.target is not None
    if call.name == "nll_loss" and float(call.input.max()) > 0:
        return None
    if call.name in ("cross_entropy", "nll_loss") or is_distribution(call):
        shares = _log_share(_mass(call)).movedim(-1, class_dim(call))
        return shares.reshape(call.input.shape)
    target = call.target.float()
    if call.name == "soft_margin_loss":
        return target * -_LOG_ZERO
    if call.name == "poisson_nll_loss":
        return target.clamp(min=1e-30).log() if call.settings["log_input"] else target
    if call.name not in BINARY_LOSSES:
        return None
    weight = call.settings.get("pos_weight")
    odds = target * (weight if isinstance(weight, Tensor) else 1.0)
    share = odds / (odds + 1 - target)
    if call.name == "binary_cross_entropy":
        return share
    return share.logit().clamp(_LOG_ZERO, -_LOG_ZERO)
