"""Conducts one audit: selects, measures inside the budget, judges, and bundles the report."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from auditor import batches, plan, worktime
from auditor.errors import AuditorError, TargetError
from auditor.facts import ModelFacts, model_facts, unjudged_report
from auditor.heap import HEAP
from auditor.isolation import seeded, undisturbed, warned_once
from auditor.judge import judge, summaries
from auditor.modelmap import model_map
from auditor.observation import Observation, accounted
from auditor.probe import NotApplicable, Notebook, OutOfTime, Probe, ProbeContext
from auditor.progress import Progress
from auditor.repeatable import doubts
from auditor.report import Report
from auditor.rule import Rule
from auditor.settings import Settings, nothing_on_top
from auditor.store import BatchStore
from auditor.target import Target
from auditor.trial import Bench
from auditor.usercode import within

_log = logging.getLogger(__name__)

_TIMED_STEPS = 3
_SLOW_STEP = 1.0
# What the user's code may take longer than planned before it counts as hanging: this much, or
# this many times what it was given.
_PATIENCE_SECONDS, _PATIENCE = 15.0, 3.0


class Session:
    """One audit of one target.

    Args:
        target: What is audited.
        rules: The selected rules.
        probes: Installed probes by name.
        settings: How.
        store: Batches of the target that others use too; else it opens and closes its own.

    Attributes:
        step_seconds: Of one training step; 0 while unknown.
        left_out: Names of the probes for which there was no time.
        interrupted: The user stopped the audit.
    """

    def __init__(
        self, target: Target, rules: Sequence[Rule], probes: Mapping[str, type[Probe]],
        settings: Settings, store: BatchStore | None = None,
    ) -> None:
        self._target = target
        self._store = store
        self._rules = rules
        self._probes = probes
        self._settings = settings
        self._observations: dict[str, Observation] = {}
        self._known = settings.journal.known.get(settings.seed, {})
        self._begin = time.monotonic()
        self._worked = worktime.seconds()
        self._first_problem: TargetError | None = None
        self._model: ModelFacts | None = None
        self._doubts: tuple[str, ...] = ()
        self.step_seconds = 0.0
        self.left_out: list[str] = []
        self.interrupted = False

    def run(self) -> Report:
        """Measure and judge.

        Raises:
            TargetError: The target cannot run, and no rule can say why.
        """
        return self.judged(self.observe())

    def observe(self) -> Report:
        """Measure, and return what was seen without judging it.

        Raises:
            TargetError: There are no batches, or the model cannot be made.
        """
        def whole(store: BatchStore) -> None:
            self.step_seconds = self._first_steps(store)
            if self._first_problem is None:
                self._doubts = doubts(
                    self._target, store, self._settings.seed, self.step_seconds)
            self._settings.journal.began(self._settings.seed, self._scene())
            self._measure(store, self.step_seconds)

        self._with_store(whole)
        return self._unjudged()

    def observe_the_rest(self, seconds: float) -> Report:
        """Give more time to the probes that had too little, and return all that was seen.

        Those that could not be run without what these measure are run again too. What says less
        than before is not taken.

        Args:
            seconds: For them all.
        """
        late, self.left_out = set(self.left_out), []
        before = {name: self._observations.pop(name) for name in list(self._observations)
                  if name in late or (self._observations[name].status != "measured"
                                      and late & set(self._probes[name].after))}
        elapsed = time.monotonic() - self._begin
        self._settings = replace(self._settings, budget_seconds=elapsed + seconds, part=1.0)
        self._with_store(lambda store: self._measure(store, self.step_seconds))
        for name, old in before.items():
            if len(self._observations[name].measurements) < len(old.measurements):
                self._keep(old, self._probes[name])
        return self._unjudged()

    def _with_store(self, work: Callable[[BatchStore], None]) -> None:
        with undisturbed(), warned_once(), self._target.surroundings():
            store = self._store or BatchStore(self._target, self._settings.seed)
            try:
                work(store)
            except KeyboardInterrupt:
                self.interrupted = True
                for probe in self._waiting():
                    self._fail(probe, "interrupted before it was run")
            finally:
                if self._store is None:
                    store.close()

    def judged(self, unjudged: Report) -> Report:
        """Return the report with verdicts and findings.

        Raises:
            TargetError: The target cannot run, and no rule can say why.
        """
        report = judge(unjudged, self._rules, self._settings.limits)
        if self._first_problem is not None and not report.reaches("error"):
            raise self._first_problem
        return report

    def _first_steps(self, store: BatchStore) -> float:
        """Take a few steps of a fresh copy; return the seconds of one (the shortest).

        Raises:
            TargetError: There are no batches, or the model cannot be made.
        """
        self._tell("first steps", "runs the model for the first time", 0, 0)
        stored = store.train(_TIMED_STEPS)
        if not stored:
            raise TargetError(
                "The training loader is empty: it gave no batch.",
                hint="Check the dataset's length, batch_size and drop_last.",
            )
        with seeded(self._settings.seed):
            bench = Bench(self._target)
            self._model = model_facts(bench, ())
            try:
                with within(max(self._settings.budget_seconds, _PATIENCE_SECONDS),
                            "taking the first steps"):
                    layers = model_map(bench, batches.private(stored[0]))
                    self._model = model_facts(bench, layers)
                    return _seconds_of_a_step(bench, stored)
            except TargetError as problem:
                # A loss that refuses its arguments is a finding, if a rule knows it.
                self._first_problem = problem
                return 0.0

    def _measure(self, store: BatchStore, step_seconds: float) -> None:
        chosen = self._waiting()
        if self._first_problem is not None:
            for probe in [p for p in chosen if p.cost.trains]:
                chosen.remove(probe)
                self._fail(probe, "the model cannot take a training step")
        planned = [plan.expect(probe, step_seconds) for probe in chosen]
        if step_seconds:
            self._tell("plan", plan.forecast(planned, step_seconds, self._seconds_left()), 0, 0)
        for position, now in enumerate(planned):
            left = self._seconds_left()
            self._tell(now.probe.name, now.probe.says, position, len(planned))
            if now.probe.name in self._known:
                self._observations[now.probe.name] = self._known[now.probe.name]
                continue
            if left < plan.seconds_needed(now):
                left += self._taken_on_top()
            if left < now.minimum or (left <= 0 and now.probe.cost.steps):
                self._leave_out(now, left)
                continue
            allowed = plan.share_of_time(
                now, planned[position + 1:], left, self._settings.budget_seconds
            )
            self._observe(now.probe, store, step_seconds, time.monotonic() + allowed)

    def _taken_on_top(self) -> float:
        """Return the seconds that are added to the budget; not twice."""
        settings = self._settings
        seconds = settings.on_top(self.step_seconds)
        if seconds > 0:
            total = settings.budget_seconds + seconds
            self._settings = replace(
                settings, budget_seconds=total, on_top=nothing_on_top,
                part=settings.part * total / settings.budget_seconds)
        return seconds

    def _waiting(self) -> list[type[Probe]]:
        """Return the probes that are to run and have no observation yet, in their order."""
        return [probe for probe in plan.needed(self._probes, self._rules)
                if probe.name not in self._observations
                and not (self._settings.quick and probe.cost.long)]

    def _observe(
        self, probe: type[Probe], store: BatchStore, step_seconds: float, deadline: float,
    ) -> None:
        note = Notebook(probe.name, probe.yields)
        context = ProbeContext(
            target=self._target, batches=store, note=note, seed=self._settings.seed,
            deadline=deadline, earlier=self._observations, step_seconds=step_seconds,
        )
        HEAP.give_back()
        begin = time.perf_counter()
        status, reason, trace = "measured", "", ""
        try:
            with undisturbed(), within(_patience(deadline), f"the probe {probe.name}"):
                probe().run(context)
        except NotApplicable as outcome:
            status, reason = "not-applicable", str(outcome)
        except KeyboardInterrupt:
            status, reason = "failed", "interrupted"
            self.interrupted = True
        except OutOfTime as outcome:
            status, reason = "failed", f"time budget used up: {outcome}"
            self.left_out.append(probe.name)
        except AuditorError as problem:
            status, reason, trace = "failed", str(problem), traceback.format_exc()
        except (Exception, SystemExit) as problem:
            # The one boundary: a probe's fault must not end the audit.
            status, reason = "failed", f"{type(problem).__name__}: {problem}"
            trace = traceback.format_exc()
            _log.warning("probe %s failed: %s", probe.name, reason)
        seen = note.observation(
            status=status, reason=reason, seconds=time.perf_counter() - begin, traceback=trace,
        )
        self._keep(seen, probe)
        if self.interrupted:
            raise KeyboardInterrupt

    def _leave_out(self, planned: plan.Planned, left: float) -> None:
        self.left_out.append(planned.probe.name)
        wanted = plan.budget_for(
            planned, left, self._settings.budget_seconds, self._settings.part)
        self._fail(planned.probe, f"time budget used up; run with --budget {wanted}s")

    def _fail(self, probe: type[Probe], reason: str) -> None:
        self._keep(Observation(probe.name, status="failed", reason=reason), probe)

    def _keep(self, seen: Observation, probe: type[Probe]) -> None:
        self._observations[probe.name] = accounted(seen, probe.yields)
        self._settings.journal.observed(self._settings.seed, self._observations[probe.name])

    def _seconds_left(self) -> float:
        return self._settings.budget_seconds - (time.monotonic() - self._begin)

    def _tell(self, doing: str, says: str, done: int, total: int) -> None:
        self._settings.on_progress(Progress(doing, says, done, total, self._seconds_left()))

    def _scene(self) -> Report:
        """Return what is known before anything is measured."""
        return replace(self._unjudged(), rules=summaries(self._rules, self._settings.limits))

    def _unjudged(self) -> Report:
        notes = [*self._settings.notes, *self._doubts]
        if self.interrupted:
            notes.append("The audit was interrupted; what had been measured is judged.")
        return unjudged_report(
            self._target, self._model, tuple(self._observations.values()), self._probes,
            seed=self._settings.seed, seconds=time.monotonic() - self._begin,
            training_seconds=worktime.seconds() - self._worked,
            notes=notes, interrupted=self.interrupted,
        )


def _patience(deadline: float) -> float:
    """Return the seconds after which a probe counts as hanging."""
    allowed = max(deadline - time.monotonic(), 0.0)
    return max(allowed + _PATIENCE_SECONDS, _PATIENCE * allowed)


def _seconds_of_a_step(bench: Bench, stored: Sequence[object]) -> float:
    """Return the shortest of a few steps; the first one pays for lazy imports and is left out."""
    seconds = []
    for step in range(_TIMED_STEPS):
        begin = time.perf_counter()
        bench.step(batches.private(stored[step % len(stored)]))
        seconds.append(time.perf_counter() - begin)
        if step >= 1 and seconds[-1] > _SLOW_STEP:
            break
    return min(seconds[1:])
