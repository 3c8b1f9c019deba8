"""`python -m benchmarks.accuracy`: audits the zoo and prints how often the auditor is right."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from . import kept, pages
from .gather import gather
from .runner import Member, Result, audit_all
from .score import alarming, table


def main() -> None:
    """Run the benchmark; with `--check`, fail where a member was right and is not any more."""
    options = _options()
    everyone = gather(options.results / "members")
    members = _chosen(everyone, options)
    known = {member.name: member for member in members}
    results, begin = [], time.perf_counter()
    for result in audit_all(members, range(options.seeds), budget=options.budget,
                            folder=options.results, workers=options.workers,
                            again=options.again):
        results.append(result)
        print(f"{time.perf_counter() - begin:6.0f} s  "
              f"{_line(known[result.member], result)}", flush=True)
    print("\n" + table(members, results))
    if options.keep:
        kept.keep(kept.RESULTS, members, results, options.keep)
        pages.write(pages.PAGES, members, results, options.keep.split(":")[0])
    if options.check:
        worse = kept.regressions(kept.read(), members, results)
        sys.exit(f"right before, and not any more: {', '.join(worse)}" if worse else 0)


def _options() -> argparse.Namespace:
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
    parser.add_argument("--part", default="1/1", help="K/N: every N-th member of each rule, from "
                        "the K-th on")
    parser.add_argument("--fast", action="store_true", help="a dozen quick members that the "
                        "committed results hold as right")
    parser.add_argument("--check", action="store_true", help="end with 1 where a member was right "
                        "in the committed results and is not now")
    parser.add_argument("--keep", metavar="WORDS", default="", help="write the committed results "
                        "and the rules' pages anew; the words say when and on what they were "
                        "obtained, then a colon and the command")
    return parser.parse_args()


def _chosen(everyone: Sequence[Member], options: argparse.Namespace) -> list[Member]:
    if options.fast:
        return kept.fast(kept.read(), everyone)
    first, every = map(int, options.part.split("/"))
    seen: Counter[tuple[str, ...]] = Counter()
    chosen = []
    for member in everyone:
        seen[member.roots] += 1
        if ((seen[member.roots] - first) % every == 0 and options.only in member.name
                and not (options.healthy and not member.healthy)
                and not (options.faulty and member.healthy)):
            chosen.append(member)
    return chosen


def _line(member: Member, result: Result) -> str:
    wrong = [r for r in alarming(result)
             if r in result.roots and r not in (*member.roots, *member.also)]
    missed = [rule for rule in member.roots if rule not in result.roots]
    said = result.problem or " ".join([*(f"+{r}" for r in wrong), *(f"-{r}" for r in missed)])
    return f"{result.member} #{result.seed} ({result.seconds:.0f} s) {said or 'right'}"


if __name__ == "__main__":
    main()
