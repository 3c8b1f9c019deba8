"""Evaluations of a model in the middle of a run: losses per sample, score, what is hardest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from auditor import batches, task
from auditor.isolation import seeded
from auditor.losscall import LossCall, LossCalls
from auditor.modes import evaluating
from auditor.observation import Json
from auditor.recorder import watching
from auditor.trial import Bench

from ._gradient_shares import row_by_row

# A term beside the main loss (a penalty) makes the total differ by more than rounding.
_SAME = 1e-3
# What the model puts out is kept up to so many bytes.
_KEPT = 128 << 20


@dataclass
class Evaluation:
    """The loss on some batches at fixed weights.

    Attributes:
        loss: Mean over the batches, weighted by their sizes, all terms included; of a loss that is
            summed over the samples, its mean.
        losses: (N,) one value per sample, else per batch; comparable from step to step.
        score: Accuracy or R2 over all samples; NaN where neither is defined.
        score_name: Which of the two; empty for neither.
        values: Of each batch's main loss call, where it can be told.
        unit: By what the user's code multiplies that call, the same in all batches; else 1.
        loss_names: Of these calls.
        calls: The main loss calls of the first batches, as far as memory allows, if asked for.
    """

    loss: float = math.nan
    losses: Tensor = field(default_factory=lambda: torch.zeros(0))
    score: float = math.nan
    score_name: str = ""
    values: list[float | None] = field(default_factory=list)
    loss_names: frozenset[str] = frozenset()
    unit: float = 1.0
    calls: list[LossCall] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Seen:
    """One batch: its samples, its loss, and what its main loss call says without its tensors."""

    size: int
    total: float
    name: str = ""
    rows: int = 0
    value: float | None = None
    own: Tensor | None = None
    score: task.Score | None = None


def evaluate(
    bench: Bench, read: Sequence[Any], seed: int, *, as_training: bool = False, keep: bool = False,
) -> Evaluation:
    """Return the loss on batches, with random numbers that are the same in every evaluation.

    Args:
        bench: Its weights, buffers and random state are left as they are.
        read: Batches.
        seed: Of models that draw in forward.
        as_training: In the modes of training instead of eval mode.
        keep: Keep the loss calls.

    Raises:
        TargetError: The user's code failed.
    """
    kept = [b.detach().clone() for b in bench.model.buffers()] if as_training else []
    seen: list[_Seen] = []
    calls: list[LossCall] = []
    room = _KEPT if keep else 0
    with seeded(seed):
        for batch in read:
            listener = LossCalls()
            with _mode(bench, as_training), watching(bench.model, listener):
                total = float(bench.loss(batches.private(batch)).loss)
            main, total = _averaged(_main(listener, batches.length(batch)), total)
            seen.append(_seen(main, batches.length(batch), total))
            # The first ones without a gap: they stand beside the batches.
            if main is not None and len(calls) == len(seen) - 1 and room > 0:
                calls.append(main)
                room -= main.input.numel() * main.input.element_size()
    for buffer, value in zip(bench.model.buffers(), kept, strict=False):
        buffer.data.copy_(value)
    return _joined(seen, calls)


def _main(listener: LossCalls, samples: int) -> LossCall | None:
    described = task.describe(listener.calls, samples)
    return None if described is None else described.main


def _averaged(main: LossCall | None, total: float) -> tuple[LossCall | None, float]:
    """Return a summed loss as a mean, so that batches of other sizes compare.

    Terms beside it (the divergence of a VAE) are summed like it. A total below the sum is one that
    the user's code divides itself.
    """
    if main is None or main.reduction != "sum":
        return main, total
    mean = replace(main, settings={**main.settings, "reduction": "mean"})
    summed, value = task.value(main), task.value(mean)
    if not summed or not value or not summed - _SAME * abs(summed) <= total < math.inf:
        return main, total
    return mean, total * value / summed


def _seen(main: LossCall | None, size: int, total: float) -> _Seen:
    if main is None:
        return _Seen(size, total)
    own, value = task.per_sample_losses(main), task.value(main)
    same = value is not None and abs(value - total) <= _SAME * max(abs(total), _SAME)
    fits = own is not None and own.shape[0] == size and same
    return _Seen(size, total, main.name, main.input.shape[0] if main.input.dim() else 1, value,
                 own.float() if own is not None and fits else None, task.score(main))


def _joined(seen: Sequence[_Seen], calls: list[LossCall]) -> Evaluation:
    mean = sum(one.total * one.size for one in seen) / max(sum(one.size for one in seen), 1)
    own = [one.own for one in seen if one.own is not None]
    losses = (torch.cat(own) if own and len(own) == len(seen)
              else torch.tensor([one.total for one in seen]))
    score, name = _score(seen)
    named = [one for one in seen if one.name]
    return Evaluation(mean, losses, score, name, [one.value for one in named],
                      frozenset(one.name for one in named), _unit(seen), calls)


def _unit(seen: Sequence[_Seen]) -> float:
    factors = [one.total / one.value for one in seen if one.value]
    if len(factors) < max(len(seen), 2) or not all(map(math.isfinite, factors)):
        return 1.0
    middle = sum(factors) / len(factors)
    alike = all(abs(factor - middle) <= _SAME * abs(middle) for factor in factors)
    return middle if alike and middle > 0 else 1.0


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
        if own is None or not row_by_row(call, own, batches.length(read[number])):
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


def _mode(bench: Bench, as_training: bool) -> Any:
    return torch.no_grad() if as_training else evaluating(bench.model)


def _score(seen: Sequence[_Seen]) -> tuple[float, str]:
    known = [(one.score, one.rows) for one in seen if one.score is not None]
    if not known:
        return math.nan, ""
    total = sum(rows for _, rows in known)
    return sum(found.value * rows for found, rows in known) / total, known[0][0].name


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
