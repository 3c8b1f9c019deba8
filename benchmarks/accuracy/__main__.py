"""`python -m benchmarks.accuracy`: audits the zoo and prints how often the auditor is right."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from .gather import gather
from .runner import audit_all
from .score import alarming, table


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("--only", default="", help="members whose name holds this text")
    parser.add_argument("--healthy", action="store_true", help="healthy members only")
    parser.add_argument("--faulty", action="store_true", help="faulty members only")
    parser.add_argument("--seeds", type=int, default=1, help="audits of each member")
    parser.add_argument("--budget", type=float, default=60.0, help="seconds of probes an audit")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--again", action="store_true", help="audit also what has a result")
    parser.add_argument("--results", type=Path,
                        default=Path(tempfile.gettempdir()) / "auditor-accuracy")
    options = parser.parse_args()
    members = [
        member for member in gather(options.results / "members")
        if options.only in member.name
        and not (options.healthy and not member.healthy)
        and not (options.faulty and member.healthy)
    ]
    results, begin = [], time.perf_counter()
    known = {member.name: member for member in members}
    for result in audit_all(members, range(options.seeds), budget=options.budget,
                            folder=options.results, workers=options.workers,
                            again=options.again):
        results.append(result)
        member = known[result.member]
        wrong = [r for r in alarming(result)
                 if r in result.roots and r not in (*member.roots, *member.also)]
        missed = [rule for rule in member.roots if rule not in result.roots]
        said = result.problem or " ".join([*(f"+{r}" for r in wrong), *(f"-{r}" for r in missed)])
        print(f"{time.perf_counter() - begin:6.0f} s  {result.member} #{result.seed} "
              f"({result.seconds:.0f} s) {said or 'right'}", flush=True)
    print("\n" + table(members, results))


if __name__ == "__main__":
    main()
