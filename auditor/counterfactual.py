"""Versions of one target, trained side by side from the same seeds on the same batches."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from auditor import batches, task
from auditor.errors import TargetError
from auditor.isolation import seeded
from auditor.losscall import LossCall, LossCalls
from auditor.probe import OutOfTime
from auditor.recalls import mean_recall
from auditor.recorder import watching
from auditor.remedy import Mended, together
from auditor.store import BatchStore
from auditor.target import Target
from auditor.trial import Bench, evaluating

SEEDS = 2
# What a comparison that is not clear after the first seeds gets.
MORE_SEEDS = 4
# What has a gain that is large enough, but other on every seed, gets as many.
MOST_SEEDS = 8
JUDGES = 6
# A judging batch holds at least that many samples, and the training batches are at least twice as
# many as those that judge; else they judge as well.
_JUDGED, _PARTS = 16, 3
# The measure is looked at before the first step and at the end of each of these parts.
LOOKS = 6
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


@dataclass
class Runs:
    """What one version did, seed by seed.

    Attributes:
        curves: Loss of every step before its update.
        looks: At the judging batches, from before the first step to the end.
        problem: Why it could not run; empty if it could.
        diverged: A loss became non-finite in some run.
    """

    curves: list[list[float]] = field(default_factory=list)
    looks: list[list[Look]] = field(default_factory=list)
    problem: str = ""
    diverged: bool = False

    @property
    def score_name(self) -> str:
        """"accuracy", "mean recall" or "R2"; empty where none is defined."""
        return self.looks[0][-1].name if self.looks else ""

    def scores_on_the_way(self) -> list[list[float]]:
        """Return the score of each judging batch, averaged over the run, for each seed."""
        runs = ([look.scores for look in seen[1:] or seen] for seen in self.looks)
        return [[fmean(values) for values in zip(*scores, strict=True)] for scores in runs]

    def losses(self) -> list[list[float]]:
        """Return the loss of each judging batch at the end, for each seed."""
        return [list(seen[-1].losses) for seen in self.looks]

    def scores(self) -> list[list[float]]:
        """Return the score of each judging batch at the end, for each seed."""
        return [list(seen[-1].scores) for seen in self.looks]


class Lab:
    """Runs versions of a target.

    Args:
        target: As it is.
        store: Its batches, shared with the probes.
        seed: Of the audit; every run's own is derived from it.
        steps: Of each run.
        deadline: `time.monotonic()` after which no step begins.
        fair: Remedies without which no samples judge (sorted ones show a part of the task only).
        trusts_loss: The loss measures what is to be learned; else only a score does.
    """

    def __init__(
        self, target: Target, store: BatchStore, *, seed: int, steps: int, deadline: float,
        fair: Sequence[Mended] = (), trusts_loss: bool = True,
    ) -> None:
        self.trusts_loss = trusts_loss
        self._fair = tuple(fair)
        self.target, self.seed, self.steps, self.deadline = target, seed, steps, deadline
        self._stores: dict[int, tuple[Any, BatchStore]] = {
            id(target.make_train_loader): (target.make_train_loader, store)}
        self._targets: dict[tuple[int, ...], tuple[Sequence[Mended], Target]] = {}
        self._done: dict[tuple[Any, ...], Runs] = {}
        self._opened: list[BatchStore] = []

    def version(self, mended: Sequence[Mended]) -> Target:
        """Return the target with these remedies applied, always the same object."""
        key = tuple(map(id, mended))
        if key not in self._targets:
            # The remedies are kept, so that no other object can take over their ids.
            self._targets[key] = (tuple(mended), together(self.target, mended))
        return self._targets[key][1]

    def runs(
        self, mended: Sequence[Mended], judging: Sequence[Mended], seeds: int = SEEDS,
    ) -> Runs:
        """Return what the version does, judged on the forward, loss and data of another one.

        Args:
            mended: Remedies of the version that is trained.
            judging: Remedies of the version that judges it.
            seeds: At least that many; runs that were made are kept.

        Raises:
            OutOfTime: The time is over before all seeds have run.
        """
        judging = (*judging, *(one for one in self._fair if one not in judging))
        validates = any(one.judges == "validation" for one in judging)
        balanced = any(one.balanced for one in judging)
        key = (tuple(map(id, mended)), tuple(map(id, judging)))
        known = self._done.setdefault(key, Runs())
        if len(known.curves) < seeds and not known.problem:
            self._extend(known, seeds, self.version(mended), lambda: _Judge(
                self, self.version(judging), validates, balanced))
        return known

    def store(self, target: Target) -> BatchStore:
        """Return the batches of a version; versions that change no data share them."""
        make = target.make_train_loader
        if id(make) not in self._stores:
            self._opened.append(BatchStore(target, self.seed))
            self._stores[id(make)] = (make, self._opened[-1])
        return self._stores[id(make)][1]

    def close(self) -> None:
        """Let go of the loaders that were opened here."""
        for opened in self._opened:
            opened.close()

    def _extend(
        self, runs: Runs, seeds: int, target: Target, make_judge: Callable[[], _Judge],
    ) -> None:
        try:
            train, _ = divided(self.store(target), self.steps)
            judge = make_judge()
            for number in range(len(runs.curves), seeds):
                with seeded(self.seed + 1000 * number):
                    self._one_seed(target, judge, train, number, runs)
        except TargetError as problem:
            runs.problem = problem.message

    def _one_seed(
        self, target: Target, judge: _Judge, train: Sequence[Any], number: int, runs: Runs,
    ) -> None:
        bench = Bench(target)
        turn = number * len(train) // MORE_SEEDS
        curve: list[float] = []
        looks = [judge.look(bench)]
        for step in range(self.steps):
            if time.monotonic() > self.deadline:
                raise OutOfTime("the trials were cut short")
            curve.append(bench.step(batches.private(train[(turn + step) % len(train)])))
            if not math.isfinite(curve[-1]):
                runs.diverged = True
                break
            if (step + 1) * LOOKS % self.steps < LOOKS and step + 1 < self.steps:
                looks.append(judge.look(bench))
        looks.append(judge.look(bench))
        runs.curves.append(curve)
        runs.looks.append(looks)


class _Judge:
    """Looks at models on the forward, loss and data of one version."""

    def __init__(self, lab: Lab, target: Target, validates: bool, balanced: bool) -> None:
        store = lab.store(target)
        _, own = divided(store, lab.steps)
        self._compute, self._balanced, self._seed = target.compute, balanced, lab.seed
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
