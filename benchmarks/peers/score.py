"""Counts what the peers say of healthy and faulty members, by the table of kinds."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from auditor import registry
from benchmarks.accuracy.runner import Member

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Answer:
    """What one tool said of one member.

    Attributes:
        member: Its name.
        tool: Its name.
        kinds: Of its alarms.
        seconds: CPU time, with the loading of the file.
        problem: Why the tool gave no answer; empty if it did.
    """

    member: str
    tool: str
    kinds: Sequence[str]
    seconds: float
    problem: str = ""


def meanings() -> Mapping[str, Mapping[str, Sequence[str]]]:
    """Return tool -> kind of message -> rules that it may stand for."""
    found: Mapping[str, Mapping[str, Sequence[str]]] = yaml.safe_load(
        (HERE / "kinds.yaml").read_text(encoding="utf-8"))
    return found


def table(members: Sequence[Member], answers: Sequence[Answer]) -> str:
    """Return the table of all tools as Markdown."""
    known = {member.name: member for member in members}
    lines = ["| tool | healthy, answered | with an alarm | faulty, answered | with any alarm | "
             "fault named (of all) | of the faults it covers | precision of alarms | "
             "rules covered | no answer | median CPU s |", "|---" * 11 + "|"]
    for tool, kinds in meanings().items():
        mine = [answer for answer in answers if answer.tool == tool]
        if mine:
            lines.append(_row(tool, kinds, mine, known))
    return "\n".join(lines)


def ours(members: Sequence[Member], kept: Mapping[str, Mapping[str, Any]]) -> str:
    """Return our row: what the accuracy benchmark kept of the same members, first seed.

    The alarms are errors and warnings without a cause. Members of which nothing is kept have no
    answer. The seconds are wall time of whole audits, with trials of fixes.
    """
    rows = [(member, kept.get(f"{member.name}#0")) for member in members]
    known = [(member, row) for member, row in rows if row is not None]
    healthy = [row for member, row in known if member.healthy]
    faulty = [(member, row) for member, row in known if not member.healthy]
    # A fault that is told as an information is right without an alarm.
    named = sum(row["right"] or bool({*row["roots"]} & {*m.roots}) for m, row in faulty)
    right = sum(len({*row["roots"]} & {*m.roots, *m.also}) for m, row in faulty)
    total = sum(len(row["roots"]) for _, row in known)
    asked = sum(not member.healthy for member in members)
    share = f"{named / asked:.2f}" if asked else "-"
    seconds = f"{statistics.median(row['seconds'] for _, row in known):.1f}" if known else "-"
    return (
        f"| auditor | {len(healthy)} | {sum(bool(row['roots']) for row in healthy)} | "
        f"{len(faulty)} | {sum(bool(row['roots']) for _, row in faulty)} | {share} | {share} | "
        f"{right / total if total else float('nan'):.2f} | {len(registry.rules(()).items)} | "
        f"{len(rows) - len(known)} | {seconds} (wall) |")


def _row(
    tool: str, kinds: Mapping[str, Sequence[str]], answers: Sequence[Answer],
    known: Mapping[str, Member],
) -> str:
    healthy = [a for a in answers if known[a.member].healthy and not a.problem]
    faulty = [a for a in answers if not known[a.member].healthy]
    heard = [a for a in faulty if not a.problem]
    covered = {rule for rules in kinds.values() for rule in rules}
    able = [a for a in faulty if covered & set(known[a.member].roots)]
    right = sum(map(lambda a: _right(a, kinds, known[a.member]), (*healthy, *heard)))
    total = sum(len(a.kinds) for a in (*healthy, *heard))
    seconds = statistics.median(a.seconds for a in answers)
    return (
        f"| {tool} | {len(healthy)} | {sum(bool(a.kinds) for a in healthy)} | {len(heard)} | "
        f"{sum(bool(a.kinds) for a in heard)} | {_share(faulty, kinds, known)} | "
        f"{_share(able, kinds, known)} | {right / total if total else float('nan'):.2f} | "
        f"{len(covered)} | {sum(bool(a.problem) for a in answers)} | {seconds:.1f} |")


def _share(
    answers: Sequence[Answer], kinds: Mapping[str, Sequence[str]], known: Mapping[str, Member],
) -> str:
    """Return in which share of the faulty members the fault's own rule was named."""
    named = sum(
        any(rule in known[a.member].roots for kind in a.kinds for rule in kinds.get(kind, ()))
        for a in answers)
    return f"{named / len(answers):.2f}" if answers else "-"


def _right(answer: Answer, kinds: Mapping[str, Sequence[str]], member: Member) -> int:
    """Return how many of an answer's kinds may stand for what is wrong with the member."""
    faults = {*member.roots, *member.also}
    return sum(bool(faults & set(kinds.get(kind, ()))) for kind in answer.kinds)
