"""`python -m benchmarks.published`: audits published faulty programs and their fixed twins."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks.accuracy.runner import Result, audit_all
from benchmarks.accuracy.score import alarming

from .cases import HERE, Case, cases, twins
from .score import Outcome, each, false_alarms, table


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.published", description=__doc__)
    parser.add_argument("--only", default="", help="programs and twins whose name holds this text")
    parser.add_argument("--budget", type=float, default=60.0, help="seconds of probes an audit")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--again", action="store_true", help="audit also what has a result")
    parser.add_argument("--write", action="store_true", help="keep the tables in results.md")
    parser.add_argument("--results", type=Path,
                        default=Path(tempfile.gettempdir()) / "auditor-published")
    options = parser.parse_args()
    chosen = [case for case in cases() if options.only in case.id or options.only in case.twin]
    found = audited(chosen, options)
    outcomes = [Outcome(case, found[case.id], found[f"fixed-{case.twin}"]) for case in chosen]
    text = said(outcomes, options.only)
    print("\n" + text)
    if options.write:
        (HERE / "results.md").write_text(text + "\n", encoding="utf-8")


def audited(chosen: Sequence[Case], options: argparse.Namespace) -> Mapping[str, Result]:
    """Audit the programs and their twins; print each result as it comes."""
    folder = options.results / "members"
    folder.mkdir(parents=True, exist_ok=True)
    needed = {f"fixed-{case.twin}" for case in chosen}
    members = [*(twin for twin in twins() if twin.name in needed),
               *(case.written(folder) for case in chosen)]
    found, begin = {}, time.perf_counter()
    for result in audit_all(members, [options.seed], budget=options.budget,
                            folder=options.results, workers=options.workers,
                            again=options.again):
        found[result.member] = result
        roots = [rule for rule in result.roots if rule in alarming(result)]
        print(f"{time.perf_counter() - begin:6.0f} s  {result.member} ({result.seconds:.0f} s) "
              f"{' '.join(roots) or result.problem or '-'}", flush=True)
    return found


def said(outcomes: Sequence[Outcome], only: str) -> str:
    """Return the whole account as Markdown; it says to which programs it was held."""
    alarms = [f"- {name}: {', '.join(rules)}" for name, rules in false_alarms(outcomes).items()]
    literature = (HERE / "literature.md").read_text(encoding="utf-8")
    return "\n".join([
        f"{datetime.date.today()}, auditor {version('auditor')}, torch {version('torch')}, "
        f"Python {platform.python_version()}, CPU ({os.cpu_count()} cores)."
        + (f" Only programs and twins with {only!r} in their name." if only else ""), "",
        table(outcomes), "", "Alarms on fixed twins:", "", *(alarms or ["- none"]), "",
        literature, each(outcomes),
    ])


if __name__ == "__main__":
    main()
