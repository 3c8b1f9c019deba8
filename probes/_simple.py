"""How well nearest neighbours predict the validation targets: a mark that needs no training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from auditor.losscall import LossCall
from auditor.lossvalue import BINARY_LOSSES, CLASS_LOSSES, is_two_valued

from ._evaluate import Evaluation
from ._labels import labels_in
from ._samples import Samples

_NEIGHBOURS = 5
# Wider targets are pictures and signals, which a bottleneck may blur on purpose.
_MOST_OUTPUTS = 16
# Numbers whose order follows that of the data's so loosely are others, not the same in other
# units: `y - noise` comes to 0.7.
_RELATED = 0.9
_SAMPLES = 4000
_WIDEST = 4096
# Validation rows whose distances are taken at once.
_ROWS = 256


def neighbours_score(train: Samples, val: Samples, model: Evaluation) -> float | None:
    """Return the score of the five nearest training samples on validation samples.

    Args:
        train: To look among.
        val: To predict.
        model: Its score is the one that is asked for.

    Returns:
        None for inputs that are no numbers, or too wide, and for targets of other kinds.
    """
    inputs = [[t for t in s.inputs if t is not None] for s in (train, val)]
    complete = all(len(own) == len(s.inputs)
                   for own, s in zip(inputs, (train, val), strict=True))
    targets = [_comparable(s.target, model) for s in (train, val)]
    if not complete or not train.separate or targets[0] is None or targets[1] is None:
        return None
    if any(_is_same(t, train.target) for t in inputs[0]):
        # To give back what one is shown is easy for neighbours, not for a bottleneck.
        return None
    return _score(inputs[0], targets[0], inputs[1], targets[1],
                  classes=model.score_name == "accuracy")


def is_asked_for(target: Any, call: LossCall) -> bool:
    """Tell whether a loss compares with the data's target, maybe by other names or in other units.

    Not where the model draws what it has to predict (the noise of a diffusion model).

    Args:
        target: Of a batch, (N, ...); anything else tells nothing.
        call: The loss on it.
    """
    other = call.target
    if not isinstance(target, Tensor) or other is None or target.is_sparse or other.is_sparse:
        return True
    labels = labels_in(target), labels_in(other)
    if call.name in CLASS_LOSSES | BINARY_LOSSES:
        if labels[0] is None or labels[1] is None or labels[0].shape != labels[1].shape:
            return True
        pairs = torch.stack([labels[0], labels[1]], dim=1)
        return len(torch.unique(pairs, dim=0)) == len(torch.unique(labels[0]))
    if target.numel() != other.numel():
        # Fewer are some of the data's, where others are missing; more are none of them.
        return other.numel() < target.numel()
    columns = [t.detach().cpu().reshape(t.shape[0] if t.dim() else 1, -1).double().unbind(1)
               for t in (target, other)]
    return all(_relation(*pair) >= _RELATED for pair in zip(*columns, strict=False))


def _relation(one: Tensor, other: Tensor) -> float:
    """Return the rank correlation of two (N,) columns, without its sign; 1 if one is constant."""
    found = torch.corrcoef(torch.stack([_ranks(one), _ranks(other)]))[0, 1]
    return abs(float(found)) if math.isfinite(found) else 1.0


def _ranks(values: Tensor) -> Tensor:
    _, place, counts = torch.unique(values, return_inverse=True, return_counts=True)
    ranks: Tensor = (counts.cumsum(0) - counts / 2)[place]
    return ranks


def _is_same(one: Tensor, other: Tensor | None) -> bool:
    return other is not None and one.shape == other.shape and torch.equal(one, other)


def _comparable(target: Tensor | None, model: Evaluation) -> Tensor | None:
    """Return the (N,) classes, (N, L) labels or (N, K) numbers that the model is scored on."""
    if target is None:
        return None
    if model.score_name != "accuracy":
        numbers = target.flatten(1) if target.dim() > 1 else target[:, None]
        return numbers if numbers.shape[1] <= _MOST_OUTPUTS else None
    labels = target.dim() == 2 and target.shape[1] > 1 and model.loss_names <= BINARY_LOSSES
    if labels and is_two_valued(target):
        return target.long()
    return labels_in(target)


def _score(
    train: Sequence[Tensor], train_y: Tensor, val: Sequence[Tensor], val_y: Tensor, *,
    classes: bool,
) -> float | None:
    """Return the accuracy (or R2) of the nearest training samples.

    Args:
        train: (N, ...) float inputs; the columns are standardised with their own moments.
        train_y: (N, ...) classes, labels or numbers.
        val: (M, ...) likewise.
        val_y: (M, ...) likewise.
        classes: The targets are classes or labels.
    """
    if not train or not all(t.is_floating_point() for t in train):
        return None
    widths = [sum(t[:1].numel() for t in inputs) for inputs in (train, val)]
    if widths[0] > _WIDEST or widths[0] != widths[1]:
        return None
    x, z = _columns(train, _SAMPLES), _columns(val)
    y, mean, std = train_y[:_SAMPLES], x.mean(dim=0), x.std(dim=0)
    # Pixels that hardly ever vary would be blown up.
    std = std.clamp(min=float(std.mean()) * 0.1 + 1e-12)
    x.sub_(mean).div_(std)
    near = torch.cat([
        torch.cdist((rows - mean) / std, x).topk(min(_NEIGHBOURS, len(x)), largest=False).indices
        for rows in torch.split(z, _ROWS)])
    if classes:
        said = torch.mode(y[near], dim=1).values
        return float((said == val_y).float().mean())
    said = y[near].float().mean(dim=1)
    total = float((val_y.float() - val_y.float().mean(dim=0)).square().sum())
    return 1 - float((said - val_y.float()).square().sum()) / total if total > 0 else None


def _columns(inputs: Sequence[Tensor], samples: int | None = None) -> Tensor:
    """Return a (N, columns) copy of the first samples."""
    return torch.cat([t[:samples].flatten(1).float() for t in inputs], dim=1)
