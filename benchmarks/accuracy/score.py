"""Counts what the audits got right: recall, precision, false alarms, confusion, confidence."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .runner import Member, Result


@dataclass
class RuleScore:
    """How one rule did.

    Attributes:
        members: Audits in which it should be a root.
        fired: Of these, in how many it fired.
        root: Of these, in how many it was a root.
        right: Root alarms of this rule where they belong (or may be).
        wrong: Root alarms where they do not belong.
        instead: Roots that were named where this one should be and was not.
    """

    members: int = 0
    fired: int = 0
    root: int = 0
    right: int = 0
    wrong: int = 0
    instead: Counter[str] = field(default_factory=Counter)

    @property
    def recall(self) -> float:
        """Share of its members in which it fired."""
        return self.fired / self.members if self.members else float("nan")

    @property
    def precision(self) -> float:
        """Share of its root alarms that are right."""
        total = self.right + self.wrong
        return self.right / total if total else float("nan")

    @property
    def f1(self) -> float:
        """Harmonic mean of recall as root and precision; the recall where it only informs.

        What is an information is no alarm, and has no precision.
        """
        recall = self.root / self.members if self.members else 0.0
        alarms = self.right + self.wrong
        if self.root and not alarms:
            return recall
        precision = self.right / alarms if alarms else 0.0
        return 2 * recall * precision / (recall + precision) if recall + precision else 0.0


def score(members: Sequence[Member], results: Sequence[Result]) -> dict[str, RuleScore]:
    """Return the score of every rule that should have fired or did."""
    known = {member.name: member for member in members}
    scores: dict[str, RuleScore] = defaultdict(RuleScore)
    for result in results:
        member = known[result.member]
        alarms = set(alarming(result))
        roots = alarms & set(result.roots)
        for rule in member.roots:
            entry = scores[rule]
            entry.members += 1
            entry.fired += rule in result.found
            entry.root += rule in result.roots
            if rule not in result.roots:
                entry.instead.update(roots - set(member.also) or {"(nothing)"})
        for rule in roots:
            if rule in member.roots or rule in member.also:
                scores[rule].right += 1
            else:
                scores[rule].wrong += 1
    return dict(scores)


def alarming(result: Result) -> list[str]:
    """Return the rules that raised an error or a warning."""
    return [rule for rule, text in result.found.items() if not text.startswith("info")]


def table(members: Sequence[Member], results: Sequence[Result]) -> str:
    """Return the benchmark's table as Markdown."""
    scores = score(members, results)
    lines = ["| rule | audits | recall | as root | precision | instead |",
             "|---|---|---|---|---|---|"]
    for rule, entry in sorted(scores.items()):
        instead = ", ".join(f"{name} {count}" for name, count in entry.instead.most_common(3))
        root = entry.root / entry.members if entry.members else float("nan")
        lines.append(f"| {rule} | {entry.members} | {entry.recall:.2f} | {root:.2f} | "
                     f"{entry.precision:.2f} | {instead} |")
    return "\n".join([*lines, "", *_summary(members, results, scores)])


def _summary(
    members: Sequence[Member], results: Sequence[Result], scores: Mapping[str, RuleScore],
) -> list[str]:
    known = {member.name: member for member in members}
    faulty = [r for r in results if not known[r.member].healthy]
    healthy = [r for r in results if known[r.member].healthy]
    wanted = [s for s in scores.values() if s.members]
    total = sum(s.members for s in wanted) or 1
    right, wrong = (sum(getattr(s, k) for s in scores.values()) for k in ("right", "wrong"))
    errors = sum(any(t.startswith("error") for t in r.found.values()) for r in healthy)
    alarms = sum(bool(alarming(r)) for r in healthy)
    seconds = [r.seconds for r in results]
    return [
        f"- faulty audits {len(faulty)}, healthy audits {len(healthy)}, "
        f"without a report {sum(bool(r.problem) for r in results)}",
        f"- recall {sum(s.fired for s in wanted) / total:.3f}, as root "
        f"{sum(s.root for s in wanted) / total:.3f}, precision of roots "
        f"{right / max(right + wrong, 1):.3f}, macro F1 "
        f"{statistics.fmean([s.f1 for s in wanted] or [0.0]):.3f}",
        f"- healthy with an error {errors}, with any alarm {alarms} "
        f"({alarms / max(len(healthy), 1):.1%})",
        f"- high-confidence alarms that are right: {_confident(known, results):.3f}",
        f"- seconds per audit: median {statistics.median(seconds or [0.0]):.1f}, "
        f"largest {max(seconds, default=0.0):.1f}",
    ]


def _confident(known: Mapping[str, Member], results: Sequence[Result]) -> float:
    right = total = 0
    for result in results:
        member = known[result.member]
        for rule in set(alarming(result)) & set(result.roots):
            if result.found[rule].endswith("/high"):
                total += 1
                right += rule in (*member.roots, *member.also)
    return right / total if total else float("nan")
