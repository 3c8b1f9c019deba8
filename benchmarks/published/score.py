"""Counts detection, the right type of fault, and false alarms on the published programs."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.accuracy.runner import Result
from benchmarks.accuracy.score import alarming

from .cases import Case


@dataclass(frozen=True)
class Outcome:
    """What the audits of one program came to.

    Attributes:
        case: The program.
        result: Its audit.
        twin: The audit of its fixed twin.
    """

    case: Case
    result: Result
    twin: Result

    @property
    def roots(self) -> list[str]:
        """Errors and warnings without causes."""
        return [rule for rule in self.result.roots if rule in alarming(self.result)]

    @property
    def stopped(self) -> bool:
        """Whether the target could not be run, and the audit said why instead of a report."""
        return bool(self.result.problem)

    @property
    def detected(self) -> bool:
        """Whether there is an error or a warning."""
        return self.stopped or bool(alarming(self.result))

    @property
    def right(self) -> bool:
        """Whether an expected rule is a root."""
        return bool(set(self.case.expect) & set(self.result.roots))

    @property
    def found(self) -> bool:
        """Whether an expected rule fired, as a root or as a consequence."""
        return bool(set(self.case.expect) & set(self.result.found))

    @property
    def beside(self) -> list[str]:
        """Alarming roots other than the expected ones."""
        return [rule for rule in self.roots if rule not in self.case.expect]


def table(outcomes: Sequence[Outcome]) -> str:
    """Return what each suite came to, and all of them, as Markdown."""
    suites: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        suites.setdefault(outcome.case.suite, []).append(outcome)
    lines = ["| suite | programs | detected | right type | right type, as a consequence too | "
             "roots beside it | fixed twins | with an alarm | median seconds |",
             "|---|---|---|---|---|---|---|---|---|"]
    lines += [_row(name, chosen) for name, chosen in suites.items()]
    return "\n".join([*lines, _row("all", outcomes)] if len(suites) > 1 else lines)


def each(outcomes: Sequence[Outcome]) -> str:
    """Return one line for every program, as Markdown."""
    lines = ["| program | fault | expected | roots | |", "|---|---|---|---|---|"]
    for outcome in outcomes:
        said = ", ".join(outcome.roots) or ("(the target cannot run)" if outcome.stopped else "-")
        word = ("right" if outcome.right else "other" if outcome.detected else "missed")
        expected = " or ".join(outcome.case.expect) or "(no rule)"
        lines.append(f"| {outcome.case.id} | {outcome.case.fault} | {expected} | {said} | {word} |")
    return "\n".join(lines)


def false_alarms(outcomes: Sequence[Outcome]) -> Mapping[str, list[str]]:
    """Return the errors and warnings of every fixed twin that has some."""
    twins = {outcome.twin.member: outcome.twin for outcome in outcomes}
    return {name: alarming(twin) for name, twin in twins.items() if alarming(twin)}


def _row(name: str, outcomes: Sequence[Outcome]) -> str:
    def share(word: str) -> str:
        count = sum(getattr(outcome, word) for outcome in outcomes)
        return f"{count / len(outcomes):.2f}"

    twins = {outcome.twin.member for outcome in outcomes}
    beside = statistics.fmean(len(outcome.beside) for outcome in outcomes)
    seconds = statistics.median(outcome.result.seconds for outcome in outcomes)
    return (f"| {name} | {len(outcomes)} | {share('detected')} | {share('right')} | "
            f"{share('found')} | {beside:.2f} each | {len(twins)} | "
            f"{len(false_alarms(outcomes))} | {seconds:.0f} |")
