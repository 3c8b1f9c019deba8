"""Whether the targets of a loss call are what the loss is defined for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from auditor.losscall import LossCall
from auditor.lossvalue import BINARY_LOSSES, CLASS_LOSSES, class_dim

_SIGNED = frozenset({
    "soft_margin_loss", "hinge_embedding_loss", "margin_ranking_loss", "cosine_embedding_loss",
})


@dataclass(frozen=True)
class Misfit:
    """Targets that the loss cannot take.

    Attributes:
        problem: What is wrong, as a clause without a full stop.
        share: Of the targets.
        fix: The conversion as code; empty when the labels themselves are wrong.
    """

    problem: str
    share: float
    fix: str = ""


def misfit(call: LossCall, target: Tensor) -> Misfit | None:
    """Return what is wrong with targets for a loss call; None when they fit.

    Args:
        call: Says which loss, its settings and the output's shape.
        target: What the loss gets; that of the call itself or of another batch.
    """
    if call.name in ("cross_entropy", "nll_loss", "multi_margin_loss"):
        return _of_classes(call, target)
    if call.name in BINARY_LOSSES - {"soft_margin_loss"}:
        return _of_yes_and_no(call, target)
    if call.name in _SIGNED:
        return _outside(target, target.abs() == 1, "neither 1 nor -1",
                        "target = 2 * target - 1  # from 0 and 1 to -1 and 1")
    if call.name == "poisson_nll_loss":
        return _outside(target, target >= 0, "negative counts")
    if call.name == "kl_div" and not call.settings.get("log_target"):
        return _outside(target, target >= 0, "negative probabilities (log_target is off)",
                        "nn.KLDivLoss(reduction='batchmean', log_target=True)")
    return None


def _of_classes(call: LossCall, target: Tensor) -> Misfit | None:
    classes = call.input.shape[class_dim(call)]
    if target.is_floating_point():
        return _of_shares(call, target, classes)
    if _alike(call, target) and call.input.dim() > 1:
        kind = "float class probabilities or class indices"
        return Misfit(f"integers of the output's own shape {_shape(target)} (one-hot); the loss "
                      f"takes {kind}", 1.0, "target = target.argmax(dim=1)")
    if call.raised and target.dim() == call.input.dim() and target.shape[-1] == 1:
        return Misfit(f"of shape {_shape(target)}; class indices have no dimension of their own",
                      1.0, "target = target.squeeze(1)")
    if target.dtype not in (torch.int64, torch.uint8):
        return Misfit(f"of dtype {target.dtype}; class indices are int64", 1.0,
                      "target = target.long()")
    return _outside_classes(call, target, classes)


def _outside_classes(call: LossCall, target: Tensor, classes: int) -> Misfit | None:
    ignored = call.settings.get("ignore_index", -100) if call.name in CLASS_LOSSES else None
    counted = target if ignored is None else target[target != ignored]
    wrong = (counted < 0) | (counted >= classes)
    if not bool(wrong.any()):
        return None
    low, high = int(counted.min()), int(counted.max())
    share = float(wrong.float().mean())
    problem = (f"class indices from {low} to {high}, but the output has {classes} "
               f"classes, 0 to {classes - 1}")
    if low == 1 and high == classes:
        return Misfit(problem + " (they are counted from 1)", share, "target = target - 1")
    if low < 0 and high < classes and int(torch.unique(counted[wrong]).numel()) == 1:
        return Misfit(problem, share, f"loss_fn = nn.CrossEntropyLoss(ignore_index={low})")
    return Misfit(problem, share, f"# the last layer needs at least {high + 1} outputs" if
                  high >= classes else "")


def _of_shares(call: LossCall, target: Tensor, classes: int) -> Misfit | None:
    if not _alike(call, target) or call.name != "cross_entropy":
        whole = bool((target == target.round()).all())
        squeeze = ".squeeze(1)" if target.dim() == 2 and target.shape[1] == 1 else ""
        fix = f"target = target{squeeze}.long()" if whole else ""
        return Misfit(f"floating-point numbers of shape {_shape(target)}; class indices are "
                      f"int64, class probabilities have the output's shape "
                      f"{_shape(call.input)}", 1.0, fix)
    return _outside(target, (target >= 0) & (target <= 1), "no class probabilities (outside "
                    "0 to 1)")


def _of_yes_and_no(call: LossCall, target: Tensor) -> Misfit | None:
    if call.raised and not _alike(call, target):
        fix = ("target = target.unsqueeze(1)" if target.dim() + 1 == call.input.dim()
               else f"target = target.reshape{_shape(call.input)}")
        return Misfit(f"of shape {_shape(target)}, the output is {_shape(call.input)}", 1.0,
                      fix + ".float()")
    if call.raised and not target.is_floating_point():
        return Misfit(f"of dtype {target.dtype}; the loss takes floating-point numbers", 1.0,
                      "target = target.float()")
    values = target.float()
    fix = ""
    if bool((values.abs() == 1).all()):
        fix = "target = (target > 0).float()  # from -1 and 1 to 0 and 1"
    elif bool(((values == 1) | (values == 2)).all()):
        fix = "target = target - 1"
    elif float(values.max()) == 255:
        fix = "target = target / 255"
    return _outside(values, (values >= 0) & (values <= 1), "outside 0 to 1, between "
                    f"{float(values.min()):.4g} and {float(values.max()):.4g}", fix)


def _outside(target: Tensor, fits: Tensor, problem: str, fix: str = "") -> Misfit | None:
    # NaN is another finding.
    wrong = ~fits & torch.isfinite(target.float())
    return Misfit(problem, float(wrong.float().mean()), fix) if bool(wrong.any()) else None


def _alike(call: LossCall, target: Tensor) -> bool:
    """Tell whether target and output have the same shape, but for the number of samples."""
    return target.dim() == call.input.dim() and target.shape[1:] == call.input.shape[1:]


def _shape(tensor: Tensor) -> str:
    return str(tuple(tensor.shape))
