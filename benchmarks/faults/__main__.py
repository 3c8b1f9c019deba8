"""`python -m benchmarks.faults`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from benchmarks.faults.cases import CASES
from benchmarks.faults.runner import Row, kill_at, moments, run

# In seconds of wall time: of one audit, and from a line of progress to the longest kill.
_BUDGET, _LONGEST_DELAY = 60.0, 1.0


def main() -> int:
    """Run the faults and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults")
    parser.add_argument("--only", nargs="*", default=None, metavar="NAME")
    parser.add_argument("--kills", type=int, default=0, metavar="N")
    parser.add_argument("--budget", type=float, default=_BUDGET, help="of each audit, in seconds")
    parser.add_argument("--delay", type=float, default=_LONGEST_DELAY,
                        help="longest one of a kill, in seconds")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--store", type=Path, default=None, metavar="FILE")
    options = parser.parse_args()
    work: dict[str, Callable[[], Row]] = {
        case.name: partial(run, case, options.budget) for case in CASES
        if options.only is None or any(part in case.name for part in options.only)}
    for number, moment in enumerate(moments(options.kills, options.delay)):
        work[f"kill {number}"] = partial(kill_at, moment, options.budget)
    rows = list(_rows(work, options.store, options.jobs))
    wrong = [row for row in rows if row.wrong]
    print(f"\n{len(rows)} faults, {len(rows) - len(wrong)} as promised, {len(wrong)} not.")
    return int(bool(wrong))


def _rows(
    work: dict[str, Callable[[], Row]], store: Path | None, jobs: int,
) -> Iterator[Row]:
    """Yield and print the rows in their order; those of the store are not run again."""
    known = _stored(store)
    print("| fault | exit code | seconds | observations kept | what the user is told | |")
    print("|---|---|---|---|---|---|")
    with ThreadPoolExecutor(jobs) as pool:
        running = {name: pool.submit(one) for name, one in work.items() if name not in known}
        for name in work:
            row = known[name] if name in known else running[name].result()
            if store is not None and name not in known:
                with store.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"key": name, **row.to_json()}) + "\n")
            print(_line(row), flush=True)
            yield row


def _stored(store: Path | None) -> dict[str, Row]:
    if store is None or not store.exists():
        return {}
    rows = [json.loads(line) for line in store.read_text(encoding="utf-8").splitlines()]
    return {row.pop("key"): Row(**row) for row in rows}


def _line(row: Row) -> str:
    kept = "-" if row.kept is None else str(row.kept)
    told = row.told.replace("|", "\\|").strip()[:160]
    return (f"| {row.name} | {row.code} | {row.seconds:.0f} | {kept} | {told} "
            f"| {'**' + row.wrong + '**' if row.wrong else 'as promised'} |")


if __name__ == "__main__":
    sys.exit(main())
