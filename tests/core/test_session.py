"""A session whose time ends early, and more of it later."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from builders import target
from sample_rules import rule
from tables import mlp, table

from auditor.fixes import too_slow_to_try
from auditor.observation import Quantity
from auditor.probe import Cost, NotApplicable, OutOfTime, ProbeContext
from auditor.session import Session
from auditor.settings import Settings

BUDGET = 6.0
_RULES = [rule("a", "x > 0", for_each="run"), rule("b", "y > 0", for_each="run")]


class Greedy:
    """Takes all the time there is."""

    name: ClassVar[str] = "greedy"
    says: ClassVar[str] = "takes all the time"
    cost: ClassVar[Cost] = Cost(steps=1, minimum_steps=1)
    yields: ClassVar[tuple[Quantity, ...]] = (Quantity("x", "", "a number"),)
    after: ClassVar[tuple[str, ...]] = ()
    runs: ClassVar[list[str]] = []

    def run(self, context: ProbeContext) -> None:
        self.runs.append(self.name)
        time.sleep(BUDGET)
        context.note.measure("x", 1.0)


class Late(Greedy):
    """Needs a step, for which the other one leaves no time."""

    name: ClassVar[str] = "late"
    cost: ClassVar[Cost] = Cost(steps=1, minimum_steps=1, long=True)
    yields: ClassVar[tuple[Quantity, ...]] = (Quantity("y", "", "a number"),)

    def run(self, context: ProbeContext) -> None:
        self.runs.append(self.name)
        context.note.measure("y", 1.0)


class Halting(Late):
    """Says one thing, and then has no time; when it is asked again it says nothing."""

    name: ClassVar[str] = "halting"
    yields: ClassVar[tuple[Quantity, ...]] = (
        Quantity("x", "", "a number"), Quantity("z", "", "a number"))

    def run(self, context: ProbeContext) -> None:
        self.runs.append(self.name)
        if self.runs.count(self.name) == 1:
            context.note.measure("x", 1.0)
        raise OutOfTime("no more")


class Reader(Late):
    """Needs what the late one measures."""

    name: ClassVar[str] = "reader"
    yields: ClassVar[tuple[Quantity, ...]] = (Quantity("x", "", "a number"),)
    after: ClassVar[tuple[str, ...]] = ("sometimes",)

    def run(self, context: ProbeContext) -> None:
        if context.observed("y") is None:
            raise NotApplicable("nothing was measured")
        context.note.measure("x", 1.0)


class Sometimes(Late):
    """Has time when it is asked again."""

    name: ClassVar[str] = "sometimes"

    def run(self, context: ProbeContext) -> None:
        self.runs.append(self.name)
        if self.runs.count(self.name) == 1:
            raise OutOfTime("no more")
        context.note.measure("y", 1.0)


def session_of(*probes: Any, budget: float = 60.0, **settings: Any) -> Session:
    Greedy.runs.clear()
    return Session(target(mlp, *table()), _RULES, {probe.name: probe for probe in probes},
                   Settings(budget_seconds=budget, **settings))


def test_what_was_measured_is_not_lost_when_the_probe_is_asked_again() -> None:
    session = session_of(Halting)
    session.observe()

    whole = session.judged(session.observe_the_rest(60.0))

    assert Halting.runs == ["halting", "halting"]
    assert whole.verdicts["a"].verdict == "fired"


def test_probes_that_read_what_was_missing_are_run_again() -> None:
    session = session_of(Sometimes, Reader)
    first = session.judged(session.observe())

    whole = session.judged(session.observe_the_rest(60.0))

    assert first.verdicts["a"].verdict == "not-applicable"
    assert whole.verdicts["a"].verdict == "fired"


def test_what_had_no_time_is_measured_when_there_is_more_and_nothing_else_again() -> None:
    session = session_of(Greedy, Late, budget=BUDGET)

    first = session.judged(session.observe())
    left_out = list(session.left_out)
    whole = session.judged(session.observe_the_rest(60.0))

    assert left_out == ["late"] and session.left_out == []
    assert first.verdicts["b"].verdict == "not-measured"
    assert "run with --budget" in first.verdicts["b"].reason
    assert {whole.verdicts[name].verdict for name in "ab"} == {"fired"}
    assert Greedy.runs == ["greedy", "late"]


def test_what_comes_on_top_is_taken_once_when_a_probe_has_too_little_time() -> None:
    timed: list[float] = []

    def on_top(step_seconds: float) -> float:
        timed.append(step_seconds)
        return 60.0

    session = session_of(Greedy, Late, Reader, budget=BUDGET, on_top=on_top)
    session.observe()

    assert session.left_out == [] and len(timed) == 1 and timed[0] > 0


def test_time_for_trials_is_too_short_below_the_trial_of_one_fix() -> None:
    assert too_slow_to_try(0.4, 18.0)
    assert not too_slow_to_try(0.01, 12.0)
