"""Versions of one target, trained side by side from the same seeds on the same batches."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from auditor import batches
from auditor.crew import Crew, Lost
from auditor.errors import TargetError
from auditor.isolation import seeded
from auditor.looks import JUDGES, Judge, Look, divided
from auditor.probe import OutOfTime
from auditor.remedy import Mended, together
from auditor.store import BatchStore
from auditor.target import Target
from auditor.trial import Bench

SEEDS = 2
# What a comparison that is not clear after the first seeds gets.
MORE_SEEDS = 4
# What has a gain that is large enough, but other on every seed, gets as many.
MOST_SEEDS = 8
# The measure is looked at before the first step and at the end of each of these parts.
LOOKS = 6
# A look at a judging batch runs forward only.
_LOOK_COST = 0.4
_NO_TIME = "the trials were cut short"


def looks_in_steps() -> float:
    """Return how many steps all looks of one run cost."""
    return _LOOK_COST * (LOOKS + 1) * JUDGES


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


    def add(self, run: _Run) -> None:
        """Add the run of the next seed."""
        self.problem = run.problem
        if not run.problem:
            self.curves.append(run.curve)
            self.looks.append(run.looks)
            self.diverged = self.diverged or run.diverged


@dataclass
class _Run:
    """What one version did from one seed.

    Attributes:
        curve: Loss of every step.
        looks: At the judging batches.
        problem: Why it could not run.
        diverged: A loss became non-finite.
        was_cut: The time was over before its end.
    """

    curve: list[float] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    problem: str = ""
    diverged: bool = False
    was_cut: bool = False

    def to_json(self) -> list[Any]:
        """Return it as plain data."""
        return [self.curve, [[look.losses, look.scores, look.name] for look in self.looks],
                self.problem, self.diverged, self.was_cut]

    @classmethod
    def from_json(cls, told: Sequence[Any]) -> _Run:
        """Return it as it was told."""
        curve, looks, *rest = told
        return cls(curve, [Look(tuple(losses), tuple(scores), name)
                           for losses, scores, name in looks], *rest)


@dataclass(frozen=True)
class _Task:
    """A run that is to be made: of one version, from one seed."""

    runs: Runs
    number: int
    target: Target
    judge: Judge
    train: Sequence[Any]
    is_mended: bool


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
        crew: Makes runs side by side; without one they are made here.
        step_seconds: Of one training step; 0 while unknown.
    """

    def __init__(
        self, target: Target, store: BatchStore, *, seed: int, steps: int, deadline: float,
        fair: Sequence[Mended] = (), trusts_loss: bool = True, crew: Crew | None = None,
        step_seconds: float = 0.0,
    ) -> None:
        self.trusts_loss = trusts_loss
        self._fair = tuple(fair)
        self._crew = crew or Crew(workers=1)
        self._run_seconds = step_seconds * (steps + looks_in_steps())
        self.target, self.seed, self.steps, self.deadline = target, seed, steps, deadline
        self._stores: dict[int, tuple[Any, BatchStore]] = {
            id(target.make_train_loader): (target.make_train_loader, store)}
        self._targets: dict[tuple[int, ...], tuple[Sequence[Mended], Target]] = {}
        self._done: dict[tuple[Any, ...], Runs] = {}
        self._opened: list[BatchStore] = []
        self._drawn: set[int] = set()

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
        with self._crew.one_thread():
            known, tasks = self._tasks(mended, judging, seeds)
            self._make(tasks, self._hands(tasks))
        return known

    def ahead(
        self, wanted: Sequence[tuple[Sequence[Mended], Sequence[Mended]]], seeds: int = SEEDS,
    ) -> None:
        """Make runs that are going to be asked for, side by side; without cores to spare, none.

        Args:
            wanted: The first two arguments of `runs`.
            seeds: As there.
        """
        with self._crew.one_thread():
            if self._crew.hands(self._run_seconds) < 2:
                return
            tasks = {(id(task.runs), task.number): task
                     for versions in wanted for task in self._tasks(*versions, seeds)[1]}
            # Whoever asks for a run that was cut short hears of it.
            with suppress(OutOfTime):
                self._make(list(tasks.values()), self._hands(list(tasks.values())))

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

    def _tasks(
        self, mended: Sequence[Mended], judging: Sequence[Mended], seeds: int,
    ) -> tuple[Runs, list[_Task]]:
        """Return what is known of a version, and the runs that are missing."""
        judging = (*judging, *(one for one in self._fair if one not in judging))
        known = self._done.setdefault((tuple(map(id, mended)), tuple(map(id, judging))), Runs())
        if len(known.curves) >= seeds or known.problem:
            return known, []
        target, measure = self.version(mended), self.version(judging)
        try:
            # Batches are loaded here: copies of this process share what is there.
            train, _ = divided(self.store(target), self.steps)
            judge = Judge(measure, self.store(measure), seed=self.seed, steps=self.steps,
                          validates=any(one.judges == "validation" for one in judging),
                          balanced=any(one.balanced for one in judging))
        except TargetError as problem:
            known.problem = problem.message
            return known, []
        return known, [_Task(known, number, target, judge, train, bool(mended))
                       for number in range(len(known.curves), seeds)]

    def _hands(self, tasks: Sequence[_Task]) -> int:
        return min(self._crew.hands(self._run_seconds), len(tasks))

    def _make(self, tasks: Sequence[_Task], hands: int) -> None:
        """Make runs and keep them in the order of their seeds.

        Raises:
            OutOfTime: Not all of them could be made.
        """
        answers: list[Any] = [Lost()] * len(tasks)
        if hands > 1:
            for number in {task.number for task in tasks}:
                self._draw(number)
            answers = self._crew.do(
                [lambda task=task: self._run(task).to_json() for task in tasks],  # type: ignore[misc]
                hands=hands, seconds=self._run_seconds, deadline=self.deadline)
        was_cut = False
        for task, answer in zip(tasks, answers, strict=True):
            if task.runs.problem or len(task.runs.curves) < task.number:
                continue
            if not isinstance(answer, Lost):
                run = _Run.from_json(answer)
            elif answer.crash and task.is_mended:
                run = _Run(problem=answer.crash)
            else:
                # The target as it is has run before: the copy may be what it does not bear.
                run = self._run(task)
            was_cut = was_cut or run.was_cut
            if not run.was_cut:
                task.runs.add(run)
        if was_cut:
            raise OutOfTime(_NO_TIME)

    def _draw(self, number: int) -> None:
        """Make a model from a seed, so that copies find what is kept of it (`Reruns`)."""
        if number not in self._drawn:
            self._drawn.add(number)
            # A model that cannot be made is the problem of the runs.
            with suppress(TargetError), seeded(self._seed_of(number)):
                Bench(self.target)

    def _seed_of(self, number: int) -> int:
        return self.seed + 1000 * number

    def _run(self, task: _Task) -> _Run:
        """Train a fresh copy; neither this process nor the target is changed."""
        run = _Run()
        try:
            with seeded(self._seed_of(task.number)):
                self._train(Bench(task.target), task, run)
        except TargetError as problem:
            run.problem = problem.message
        return run

    def _train(self, bench: Bench, task: _Task, run: _Run) -> None:
        turn = task.number * len(task.train) // MORE_SEEDS
        run.looks.append(task.judge.look(bench))
        for step in range(self.steps):
            if time.monotonic() > self.deadline:
                run.was_cut = True
                return
            batch = task.train[(turn + step) % len(task.train)]
            run.curve.append(bench.step(batches.private(batch)))
            if not math.isfinite(run.curve[-1]):
                run.diverged = True
                break
            if (step + 1) * LOOKS % self.steps < LOOKS and step + 1 < self.steps:
                run.looks.append(task.judge.look(bench))
        run.looks.append(task.judge.look(bench))
