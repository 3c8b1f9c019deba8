"""`python -m benchmarks.remedies`: audits faulty set-ups and prints what their fixes bring back."""

from __future__ import annotations

import argparse
import math
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain, zip_longest
from pathlib import Path

from auditor import registry

from ..accuracy.gather import cases, healthy, injected
from ..accuracy.runner import Member, Result, audit_all
from .recovered import row_of, table


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.remedies", description=__doc__)
    parser.add_argument("--only", default="", help="members whose name holds this text")
    parser.add_argument("--budget", type=float, default=90.0, help="seconds an audit")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--most", type=int, default=0,
                        help="that many members, spread over the rules; 0 for all")
    parser.add_argument("--minutes", type=float, default=math.inf,
                        help="begin no audit after that time; what was kept is counted")
    parser.add_argument("--again", action="store_true", help="audit also what has a result")
    parser.add_argument("--healthy", action="store_true",
                        help="also audit healthy members: no remedy may be tried on them")
    parser.add_argument("--results", type=Path,
                        default=Path(tempfile.gettempdir()) / "auditor-remedies")
    options = parser.parse_args()
    every = [*injected(options.results / "members"), *cases()]
    members = spread([m for m in every if options.only in m.name and can_be_mended(m)])
    members = members[:options.most or None] + (healthy() if options.healthy else [])
    known = {member.name: member for member in members}
    rows = []
    for result in results(members, options):
        member = known[result.member]
        saved = options.results / f"{result.member}.{result.seed}.report.json"
        rows.append(row_of(member, saved, _parent(member)))
        print(f"{result.member}: {rows[-1].says}", flush=True)
    print("\n" + table(rows))


def can_be_mended(member: Member) -> bool:
    """Tell whether a member is faulty, and one of its faults has a fix that can be tried."""
    rules = registry.rules().items
    return not member.healthy and any(
        fix.remedy for root in member.roots if rules[root].severity != "info"
        for fix in rules[root].fixes)


def spread(members: Iterable[Member]) -> list[Member]:
    """Return the members, one of each rule first, then a second one of each, and so on."""
    of_rule: dict[tuple[str, ...], list[Member]] = defaultdict(list)
    for member in members:
        of_rule[member.roots].append(member)
    rounds = chain.from_iterable(zip_longest(*of_rule.values()))
    return [member for member in rounds if member is not None]


def results(members: list[Member], options: argparse.Namespace) -> Iterator[Result]:
    """Yield the results in the order of the members, as long as there is time to begin one."""
    end = time.monotonic() + 60.0 * options.minutes
    for begin in range(0, len(members), options.workers):
        some = members[begin:begin + options.workers]
        if time.monotonic() < end:
            yield from audit_all(some, [0], budget=options.budget, folder=options.results,
                                 workers=options.workers, again=options.again)


def _parent(member: Member) -> Path | None:
    """Return the healthy file that a member was made from, or its twin."""
    if member.healthy:
        return None
    stem = member.parent.removeprefix("healthy-")
    named = Path(__file__).parents[1] / "accuracy" / "healthy" / f"{stem}.py"
    twin = member.path.parent / "healthy.py"
    return next((path for path in (named, twin) if path.is_file()), None)


if __name__ == "__main__":
    main()
