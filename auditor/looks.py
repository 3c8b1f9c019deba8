"""What a model in training has learned so far, as judging batches say it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from auditor import batches, task
from auditor.isolation import seeded
from auditor.losscall import LossCall, LossCalls
from auditor.modes import evaluating
from auditor.recalls import mean_recall
from auditor.recorder import watching
from auditor.store import BatchStore
from auditor.target import Target
from auditor.trial import Bench

JUDGES = 6
# A judging batch holds at least that many samples, and the training batches are at least twice as
# many as those that judge; else they judge as well.
_JUDGED, _PARTS = 16, 3
# R2 has no lower end; below this a model is as useless as it gets.
_WORST_R2 = -1.0


@dataclass(frozen=True)
class Look:
    """What the judging batches say of a model at one moment.

    Attributes:
        losses: Of each judging batch; infinite when not finite.
        scores: Accuracy, mean recall or R2 of each; empty where none is defined.
        name: Of the score.
    """

    losses: tuple[float, ...]
    scores: tuple[float, ...]
    name: str


class Judge:
    """Looks at models on the forward, loss and data of one version.

    Args:
        target: The version.
        store: Its batches.
        seed: Of every look.
        steps: Of the runs whose models it judges; they train on other batches.
        validates: Judge on validation batches, if there are any.
        balanced: Every class counts the same.
    """

    def __init__(
        self, target: Target, store: BatchStore, *, seed: int, steps: int, validates: bool,
        balanced: bool,
    ) -> None:
        _, own = divided(store, steps)
        self._compute, self._balanced, self._seed = target.compute, balanced, seed
        self._batches = (store.val(JUDGES) if validates else []) or own

    def look(self, bench: Bench) -> Look:
        """Evaluate a model as it is now; neither it nor the random state is changed."""
        losses: list[float] = []
        calls: list[LossCall] = []
        own, bench.compute = bench.compute, self._compute
        try:
            with seeded(self._seed), evaluating(bench.model):
                for batch in self._batches:
                    listener = LossCalls()
                    with watching(bench.model, listener):
                        losses.append(float(bench.loss(batches.private(batch)).loss))
                    found = task.describe(listener.calls, batches.length(batch))
                    calls += [found.main] if found else []
        finally:
            bench.compute = own
        name, scores = self._scores(calls)
        return Look(tuple(v if math.isfinite(v) else math.inf for v in losses), scores, name)

    def _scores(self, calls: Sequence[LossCall]) -> tuple[str, tuple[float, ...]]:
        if self._balanced and (recall := mean_recall(calls)) is not None:
            return "mean recall", (recall,)
        found = [score for call in calls if (score := task.score(call)) is not None]
        if not found or len(found) < len(calls):
            return "", ()
        return found[0].name, tuple(
            max(score.value, _WORST_R2) if math.isfinite(score.value) else _WORST_R2
            for score in found)


def divided(store: BatchStore, steps: int) -> tuple[list[Any], list[Any]]:
    """Return the batches to train on and those that judge, apart when there are enough.

    The odd last batch of an epoch judges nothing: it is small, and trains as it does with the user.
    Of tiny batches several are joined to one that judges: a score of six samples is luck.
    """
    each = _joined(store.train(1))
    ordered = list(store.train(steps + JUDGES * each))
    if len(ordered) > JUDGES and batches.length(ordered[-1]) < batches.length(ordered[0]):
        ordered.insert(0, ordered.pop())
    each = max(min(each, len(ordered) // (_PARTS * JUDGES)), 1)
    judges = ordered[-min(JUDGES * each, len(ordered)):]
    train = ordered[:-len(judges)]
    if len(train) < (_PARTS - 1) * len(judges):
        train = ordered
    joined = [batches.concatenate(judges[i:i + each]) for i in range(0, len(judges), each)]
    return train, judges[-JUDGES:] if any(one is None for one in joined) else joined


def _joined(first: Sequence[Any]) -> int:
    """Return how many batches make one that judges."""
    size = batches.length(first[0]) if first else _JUDGED
    return math.ceil(_JUDGED / max(size, 1))
