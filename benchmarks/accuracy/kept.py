"""The committed results: what each member gave, and whether a later run gives less."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .runner import Member, Result
from .score import alarming

RESULTS = Path(__file__).with_name("results.json")
# Cheapest members of each rule group that a fast run takes, and healthy ones.
_FAULTY, _HEALTHY = 10, 3


def is_right(member: Member, result: Result) -> bool:
    """Tell whether all expected roots were named, and no other alarm was a root."""
    roots = set(result.roots)
    wrong = (set(alarming(result)) & roots) - {*member.roots, *member.also}
    return not result.problem and set(member.roots) <= roots and not wrong


def keep(path: Path, members: Sequence[Member], results: Sequence[Result], said: str) -> None:
    """Write the results, sorted, with what is to be known about the run."""
    known = {member.name: member for member in members}
    rows = {
        f"{result.member}#{result.seed}": {
            "right": is_right(known[result.member], result),
            "roots": sorted(set(alarming(result)) & set(result.roots)),
            "seconds": round(result.seconds, 1),
        }
        for result in results
    }
    text = json.dumps({"run": said, "results": dict(sorted(rows.items()))}, indent=0)
    path.write_text(text + "\n", encoding="utf-8")


def read(path: Path = RESULTS) -> dict[str, Any]:
    """Return member#seed -> what it gave."""
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["results"]
    return kept


def regressions(
    kept: Mapping[str, Any], members: Sequence[Member], results: Sequence[Result],
) -> list[str]:
    """Return the members that were right when the results were kept and are not any more."""
    known = {member.name: member for member in members}
    return [result.member for result in results
            if kept.get(f"{result.member}#{result.seed}", {}).get("right")
            and not is_right(known[result.member], result)]


def fast(kept: Mapping[str, Any], members: Sequence[Member]) -> list[Member]:
    """Return the quickest members that were right: one for each of many rules, some healthy."""
    def seconds(member: Member) -> float:
        row = kept.get(f"{member.name}#0", {})
        return float(row["seconds"]) if row.get("right") else float("inf")

    ordered = sorted((m for m in members if seconds(m) < float("inf")), key=seconds)
    faulty: dict[tuple[str, ...], Member] = {}
    for member in ordered:
        if not member.healthy:
            faulty.setdefault(member.roots, member)
    healthy = [member for member in ordered if member.healthy]
    return [*list(faulty.values())[:_FAULTY], *healthy[:_HEALTHY]]
