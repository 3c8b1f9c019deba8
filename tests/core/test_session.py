"""A session whose time ends early, and more of it later."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from builders import target
from sample_rules import rule
from tables import mlp, table

from auditor.observation import Quantity
from auditor.probe import Cost, ProbeContext
from auditor.session import Session, Settings

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


def test_what_had_no_time_is_measured_when_there_is_more_and_nothing_else_again() -> None:
    probes: dict[str, Any] = {"greedy": Greedy, "late": Late}
    Greedy.runs.clear()
    session = Session(target(mlp, *table()), _RULES, probes,
                      Settings(budget_seconds=BUDGET))

    first = session.judged(session.observe())
    left_out = list(session.left_out)
    whole = session.judged(session.observe_the_rest(60.0))

    assert left_out == ["late"] and session.left_out == []
    assert first.verdicts["b"].verdict == "not-measured"
    assert "run with --budget" in first.verdicts["b"].reason
    assert {whole.verdicts[name].verdict for name in "ab"} == {"fired"}
    assert Greedy.runs == ["greedy", "late"]
