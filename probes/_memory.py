"""Learning a tiny subset by heart: one try under stated changes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from auditor import batches, task
from auditor.isolation import seed_all, seeded
from auditor.losscall import LossCall, LossCalls
from auditor.modes import evaluating
from auditor.probe import ProbeContext
from auditor.recorder import watching
from auditor.trial import Bench, Changes, run

LEARNED = 0.8
_LOOK_EVERY = 10
_SAME = 1e-3
_THIRDS = 9


@dataclass(frozen=True)
class Marks:
    """What the subset's loss can be measured against.

    Attributes:
        start: Loss before the first step.
        uninformed: Of the best constant; the start where unknown.
        floor: The smallest reachable; None where the loss has an irreducible part.
        majority: Score of the best constant prediction: the share of the most frequent class.
    """

    start: float
    uninformed: float
    floor: float | None
    majority: float

    def progress(self, loss: float) -> float:
        """Return how much of the way from the uninformed loss to the floor is done; at most 1.

        Without a floor: the fall relative to the start.
        """
        if not math.isfinite(loss):
            return 0.0
        if self.floor is None:
            return (self.start - loss) / abs(self.start) if self.start else 0.0
        way = self.reference - self.floor
        return min((self.reference - loss) / way, 1.0) if way > 0 else 0.0

    @property
    def reference(self) -> float:
        """The uninformed loss, or the start if that is lower."""
        return min(self.start, self.uninformed)


@dataclass
class Try:
    """One attempt.

    Attributes:
        progress: The best so far, of the loss or of the score, in train or in eval mode.
        score: The best accuracy or R2 of the subset; NaN where there is none.
        losses: Of each step.
        scores: (step, score) as looked at.
        is_cut: The time was up before the steps were used up.
    """

    progress: float = -math.inf
    score: float = math.nan
    losses: list[float] = field(default_factory=list)
    scores: list[tuple[int, float]] = field(default_factory=list)
    is_cut: bool = False

    @property
    def learned(self) -> bool:
        """Whether the answer is clear."""
        return self.progress >= LEARNED

    def late_fall(self, marks: Marks) -> float:
        """Return how much progress the last third of the steps made; 0 for a diverged try."""
        if len(self.losses) < _THIRDS or not all(math.isfinite(loss) for loss in self.losses):
            return 0.0
        third = len(self.losses) // 3
        before, last = self.losses[:-third], self.losses[-third:]
        return marks.progress(_mean(last)) - marks.progress(_mean(before[-third:]))


def _mean(losses: Sequence[float]) -> float:
    return math.fsum(losses) / len(losses)


def marks_of(context: ProbeContext, only: Any) -> Marks:
    """Look at a fresh model's loss on the subset, twice, to see what of it is chance."""
    with seeded(context.seed):
        bench = Bench(context.target, Changes(dropout=0.0))
        first, calls = _look(bench, only, context.seed)
        again, calls_again = _look(bench, only, context.seed + 1)
    main = _whole(calls, first)
    if main is None or first != again or not _same_targets(calls, calls_again):
        return Marks(first, first, None, _majority(calls))
    uninformed = task.uninformed_loss([main])
    scale = first / value if (value := task.value(main)) else 1.0
    floor = task.loss_floor(main)
    described = task.describe(calls)
    if described is not None and described.kind == "metric":
        floor = None
    return Marks(
        first, first if uninformed is None else uninformed * scale,
        None if floor is None else floor * scale, _majority(calls),
    )


def attempt(
    context: ProbeContext, only: Any, marks: Marks, steps: int, changes: Changes, enough: float,
) -> Try:
    """Train a fresh copy on the subset until it is learned or the steps are used up.

    Args:
        context: Of the probe.
        only: The subset, one batch.
        marks: Of its loss.
        steps: At most.
        changes: Of the trial.
        enough: Progress at which the answer is clear.
    """
    found = Try()
    with seeded(context.seed):
        seed_all(context.seed)
        bench = Bench(context.target, changes)

        def stop(losses: Sequence[float]) -> bool:
            if len(losses) % _LOOK_EVERY and marks.progress(losses[-1]) < enough:
                return False
            _judge(bench, only, marks, found, len(losses), context.seed)
            return found.progress >= enough

        def stream() -> Iterator[Any]:
            for _ in range(steps):
                yield batches.private(only)

        result = run(bench, stream(), deadline=context.deadline, stop=stop)
        if result.outcome != "diverged" and len(result.losses) % _LOOK_EVERY:
            _judge(bench, only, marks, found, len(result.losses), context.seed)
    context.note.steps += len(result.losses)
    found.losses, found.is_cut = result.losses, result.outcome == "out-of-time"
    return found


def _judge(
    bench: Bench, only: Any, marks: Marks, found: Try, step: int, seed: int,
) -> None:
    """Take the subset's loss and score in train and in eval mode, and keep the better one.

    Dropout is noise in train mode, and running statistics lag in eval mode; knowing the subset by
    heart shows in either.
    """
    looks = [_look(bench, only, seed)]
    with evaluating(bench.model):
        looks.append(_look(bench, only, seed))
    scores = []
    for loss, calls in looks:
        found.progress = max(found.progress, marks.progress(loss))
        described = task.describe(calls)
        score = task.score(described.main) if described is not None else None
        if score is not None:
            scores.append(score.value)
            if score.name == "accuracy" and marks.majority < 1:
                beyond = (score.value - marks.majority) / (1 - marks.majority)
                found.progress = max(found.progress, beyond)
    if scores:
        found.scores.append((step, max(scores)))
        found.score = max(max(scores), -math.inf if math.isnan(found.score) else found.score)


def _look(bench: Bench, only: Any, seed: int) -> tuple[float, list[LossCall]]:
    listener = LossCalls()
    with seeded(seed), watching(bench.model, listener):
        loss = float(bench.loss(batches.private(only)).loss.detach())
    return loss, listener.calls


def _whole(calls: Sequence[LossCall], loss: float) -> LossCall | None:
    """Return the one loss call when nothing else makes up the loss, but for a constant factor."""
    if len(calls) != 1:
        return None
    value = task.value(calls[0])
    if value is None or not math.isfinite(value) or not math.isfinite(loss) or value == 0:
        return None
    factor = loss / value
    round_factor = min(abs(factor * n - round(factor * n)) for n in (1, 10))
    return calls[0] if factor > 0 and round_factor < _SAME * factor else None


def _same_targets(calls: Sequence[LossCall], again: Sequence[LossCall]) -> bool:
    return len(calls) == len(again) and all(
        (one.target is None and other.target is None)
        or (one.target is not None and other.target is not None
            and one.target.shape == other.target.shape
            and bool(torch.equal(one.target, other.target)))
        for one, other in zip(calls, again, strict=True)
    )


def _majority(calls: Sequence[LossCall]) -> float:
    """Return the accuracy of the best constant prediction on the subset; 0 for regressions."""
    described = task.describe(calls)
    if described is None or described.main.target is None:
        return 0.0
    target, main = described.main.target, described.main
    if described.kind in ("regression", "metric", "unknown"):
        return 0.0
    if described.kind in ("binary", "multilabel") or (
            described.kind == "segmentation" and target.is_floating_point()):
        high = (target > 0.5).float().flatten(1) if target.dim() > 1 else (target > 0.5).float()
        positive = high.mean(dim=0) if described.kind == "multilabel" else high.mean()
        return float(torch.maximum(positive, 1 - positive).mean())
    if target.is_floating_point():
        target = target.argmax(dim=1 if target.dim() > 1 else 0)
    target = target[target != main.settings.get("ignore_index", -100)]
    counts = torch.unique(target, return_counts=True)[1]
    return float(counts.max() / counts.sum()) if counts.numel() else 1.0
