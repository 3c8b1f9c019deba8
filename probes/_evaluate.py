"""Evaluations of a model in the middle of a run: losses per sample, score, what is hardest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from auditor import batches, task
from auditor.isolation import seeded
from auditor.losscall import LossCall, LossCalls
from auditor.observation import Json
from auditor.recorder import watching
from auditor.trial import Bench, evaluating

# A term beside the main loss (a penalty) makes the total differ by more than rounding.
_SAME = 1e-3


@dataclass
class Evaluation:
    """The loss on some batches at fixed weights.

    Attributes:
        loss: Mean over the batches, weighted by their sizes, all terms included.
        losses: (N,) one value per sample, else per batch; comparable from step to step.
        score: Accuracy or R2 over all samples; NaN where neither is defined.
        score_name: Which of the two; empty for neither.
        calls: The main loss call of each batch.
    """

    loss: float = math.nan
    losses: Tensor = field(default_factory=lambda: torch.zeros(0))
    score: float = math.nan
    score_name: str = ""
    calls: list[LossCall] = field(default_factory=list)


def evaluate(bench: Bench, read: Sequence[Any], seed: int, *, as_training: bool = False,
             ) -> Evaluation:
    """Return the loss on batches, with random numbers that are the same in every evaluation.

    Args:
        bench: Its weights, buffers and random state are left as they are.
        read: Batches.
        seed: Of models that draw in forward.
        as_training: In the modes of training instead of eval mode.

    Raises:
        TargetError: The user's code failed.
    """
    kept = [b.detach().clone() for b in bench.model.buffers()] if as_training else []
    totals, sizes, calls = [], [], []
    with seeded(seed):
        for batch in read:
            listener = LossCalls()
            with _mode(bench, as_training), watching(bench.model, listener):
                totals.append(float(bench.loss(batches.private(batch)).loss))
            sizes.append(batches.length(batch))
            calls.append(task.describe(listener.calls, sizes[-1]))
    for buffer, value in zip(bench.model.buffers(), kept, strict=False):
        buffer.data.copy_(value)
    main = [found.main for found in calls if found is not None]
    mean = sum(t * n for t, n in zip(totals, sizes, strict=True)) / max(sum(sizes), 1)
    found = _per_sample(main, sizes, totals)
    score, name = _score(main)
    return Evaluation(mean, found if found is not None else torch.tensor(totals), score, name,
                      main)


def excess(later: Evaluation, earlier: Evaluation) -> tuple[float, float]:
    """Return how much larger the later losses are, paired: mean difference and its z value."""
    if later.losses.shape != earlier.losses.shape or later.losses.numel() < 2:
        return later.loss - earlier.loss, 0.0
    difference = (later.losses - earlier.losses).double()
    error = float(difference.std()) / math.sqrt(difference.numel())
    mean = float(difference.mean())
    return mean, mean / error if error > 0 else 0.0


def gap(val: Evaluation, train: Evaluation) -> tuple[float, float]:
    """Return how much larger the validation losses are, unpaired: difference and its z value."""
    if min(val.losses.numel(), train.losses.numel()) < 2:
        return val.loss - train.loss, 0.0
    error = math.sqrt(sum(float(e.losses.double().var()) / e.losses.numel()
                          for e in (val, train)))
    mean = val.loss - train.loss
    return mean, mean / error if error > 0 else 0.0


def gradient_shares(calls: Sequence[LossCall]) -> tuple[float, float] | None:
    """Return the shares of the gradient that the easier half and the hardest 1 % carry.

    A sample's part is the norm of its loss's gradient at the output; easy is a small loss. None
    for fewer than 200 samples or losses that are not one value a sample.
    """
    losses, norms = [], []
    for call in calls:
        own = task.per_sample_losses(call)
        if own is None or not _row_by_row(call, own, call.input.shape[0]):
            return None
        losses.append(own)
        norms.append(_gradient_norms(call))
    if sum(map(len, losses)) < 200:
        return None
    order = torch.cat(losses).argsort()
    ordered = torch.cat(norms)[order].double()
    total = float(ordered.sum())
    if not total > 0:
        return None
    half, top = len(ordered) // 2, max(len(ordered) // 100, 1)
    return float(ordered[:half].sum()) / total, float(ordered[-top:].sum()) / total


def hardest(
    calls: Sequence[LossCall], read: Sequence[Any], starts: Sequence[int], count: int = 8,
) -> list[Json]:
    """Return the samples with the largest losses: position, target, prediction, loss, picture.

    Args:
        calls: The main loss call of each batch.
        read: The batches.
        starts: Position of each batch's first sample in the stream.
        count: How many samples.
    """
    found: list[tuple[float, int, int]] = []
    for number, call in enumerate(calls):
        own = task.per_sample_losses(call)
        if own is None or not _row_by_row(call, own, batches.length(read[number])):
            return []
        values, indices = own.topk(min(count, len(own)))
        found += [(float(v), number, int(i)) for v, i in zip(values, indices, strict=True)]
    rows: list[Json] = []
    for loss, number, index in sorted(found, reverse=True)[:count]:
        call = calls[number]
        target = call.target[index] if call.target is not None else None
        row: dict[str, Json] = {
            "index": starts[number] + index, "loss": loss,
            "target": _shown(target), "prediction": _prediction(call, index),
        }
        picture = _picture(read[number], index)
        rows.append(row | ({"picture": picture} if picture else {}))
    return rows


def _row_by_row(call: LossCall, losses: Tensor, samples: int) -> bool:
    """Tell whether losses, outputs and targets have one row for each sample."""
    target = call.target
    return losses.shape[0] == samples == call.input.shape[0] and (
        target is None or (target.dim() > 0 and target.shape[0] == samples))


def _mode(bench: Bench, as_training: bool) -> Any:
    return torch.no_grad() if as_training else evaluating(bench.model)


def _per_sample(
    calls: Sequence[LossCall], sizes: Sequence[int], totals: Sequence[float],
) -> Tensor | None:
    if len(calls) != len(sizes):
        return None
    parts = []
    for call, size, total in zip(calls, sizes, totals, strict=True):
        own, value = task.per_sample_losses(call), task.value(call)
        same = value is not None and abs(value - total) <= _SAME * max(abs(total), _SAME)
        if own is None or own.shape[0] != size or not same or call.reduction == "sum":
            return None
        parts.append(own.float())
    return torch.cat(parts) if parts else None


def _score(calls: Sequence[LossCall]) -> tuple[float, str]:
    scores = [(task.score(call), call.input.shape[0]) for call in calls]
    known = [(found, size) for found, size in scores if found is not None]
    if not known:
        return math.nan, ""
    total = sum(size for _, size in known)
    return sum(found.value * size for found, size in known) / total, known[0][0].name


def _gradient_norms(call: LossCall) -> Tensor:
    from auditor.lossvalue import evaluate as loss_of

    source = call.input.detach().float().requires_grad_()
    with torch.enable_grad():
        loss = loss_of(call, source, reduction="none").sum()
        (gradient,) = torch.autograd.grad(loss, source)
    return gradient.flatten(1).norm(dim=1) if gradient.dim() > 1 else gradient.abs()


def _prediction(call: LossCall, index: int) -> Json:
    row = call.input[index]
    if row.dim() >= 1 and row.numel() > 1 and (
            call.target is None or not call.target.is_floating_point()):
        return int(row.argmax()) if row.dim() == 1 else None
    return _shown(row)


def _shown(value: Tensor | None) -> Json:
    if value is None or value.numel() > 16:
        return None
    if value.numel() == 1:
        number = value.item()
        return round(number, 4) if isinstance(number, float) else number
    return [round(float(v), 4) for v in value.flatten()]


def _picture(batch: Any, index: int, side: int = 16) -> list[Json] | None:
    """Return a sample's first channel as rows of numbers from 0 to 1, at most 16 by 16."""
    image = next((t for t in batches.split(batch).inputs if t.dim() == 4), None)
    if image is None:
        return None
    last = image.shape[3] in (1, 3, 4) and image.shape[1] not in (1, 3, 4)
    pixels = (image[index].movedim(-1, 0) if last else image[index]).float().mean(dim=0)
    size = (min(side, pixels.shape[0]), min(side, pixels.shape[1]))
    small = torch.nn.functional.adaptive_avg_pool2d(pixels[None], size)[0]
    low, high = float(small.min()), float(small.max())
    scaled = (small - low) / (high - low) if high > low else small * 0
    return [[round(float(v), 2) for v in row] for row in scaled]
