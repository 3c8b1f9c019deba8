"""`python -m benchmarks.remedies`: audits faulty set-ups and prints what their fixes bring back."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from ..accuracy.gather import cases, healthy, injected
from ..accuracy.runner import Member, audit_all
from .recovered import row_of, table


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.remedies", description=__doc__)
    parser.add_argument("--only", default="", help="members whose name holds this text")
    parser.add_argument("--budget", type=float, default=90.0, help="seconds an audit")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--again", action="store_true", help="audit also what has a result")
    parser.add_argument("--healthy", action="store_true",
                        help="also audit healthy members: no remedy may be tried on them")
    parser.add_argument("--results", type=Path,
                        default=Path(tempfile.gettempdir()) / "auditor-remedies")
    options = parser.parse_args()
    every = [*injected(options.results / "members"), *cases()]
    members = [m for m in every if not m.healthy] + (healthy() if options.healthy else [])
    members = [m for m in members if options.only in m.name]
    parents = {member.name: parent for member in members
               if (parent := _parent(member)) is not None}
    known = {member.name: member for member in members}
    rows = []
    for result in audit_all(members, [0], budget=options.budget, folder=options.results,
                            workers=options.workers, again=options.again):
        saved = options.results / f"{result.member}.{result.seed}.report.json"
        rows.append(row_of(known[result.member], saved, parents.get(result.member)))
        print(f"{result.member}: {rows[-1].says}", flush=True)
    print("\n" + table(rows))


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
