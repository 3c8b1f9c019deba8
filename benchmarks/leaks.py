"""Audits one file many times in one process, and prints what grows; then compares peak memory.

    python -m benchmarks.leaks [--runs 30] [--profile quick] [--file examples/lenet_mnist.py]

The last lines are peaks of fresh processes: plain training of the same file (its `main(1)`), and
one audit. Linux only: everything is read from /proc.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# The first runs import modules and fill caches of torch.
WARM_RUNS = 5
PLAIN = "import {module} as user; user.main(1)"
AUDIT = "from auditor import audit; audit({file!r}, profile={profile!r}, budget_seconds={budget})"
PEAK = "\nprint([line for line in open('/proc/self/status') if line.startswith('VmHWM')][0])"


@dataclass(frozen=True)
class State:
    """What a process holds.

    Attributes:
        memory: Resident MiB.
        threads: Of the system.
        python_threads: That Python knows.
        files: Open descriptors.
        temporary: Files in the folder for temporary files.
    """

    memory: float
    threads: int
    python_threads: int
    files: int
    temporary: int

    @classmethod
    def now(cls, temporary: Path) -> State:
        """Read it."""
        told = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().split("\n")
                    if ":" in line)
        return cls(int(told["VmRSS"].split()[0]) / 1024, int(told["Threads"]),
                   threading.active_count(), len(os.listdir("/proc/self/fd")),
                   sum(1 for _ in temporary.rglob("*")))


def runs(file: str, count: int, profile: str, budget: float) -> list[State]:
    """Audit the file again and again, print what the process holds after each, and return it."""
    folder = Path(tempfile.mkdtemp(prefix="leaks-"))
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    from auditor import audit

    states = []
    print(f"{'run':>4} {'cpu s':>7} {'MiB':>8} {'threads':>8} {'python':>7} {'files':>6} "
          f"{'tmp':>4}")
    for run in range(1, count + 1):
        begin = time.process_time()
        audit(file, profile=profile, budget_seconds=budget)  # type: ignore[arg-type]
        seconds = time.process_time() - begin
        states.append(State.now(folder))
        s = states[-1]
        print(f"{run:>4} {seconds:>7.1f} {s.memory:>8.1f} {s.threads:>8} {s.python_threads:>7} "
              f"{s.files:>6} {s.temporary:>4}", flush=True)
    return states


def growth(states: list[State]) -> str:
    """Return how much each number has grown since the warm runs, memory per run.

    The resident size jumps by what the allocator happens to keep, so that the smallest one of
    the first and of the last third after the warm runs are compared.
    """
    later = states[WARM_RUNS:] or states
    third = max(len(later) // 3, 1)
    first, last = later[:third], later[-third:]
    grown = min(s.memory for s in last) - min(s.memory for s in first)
    return (f"after {len(states) - len(later)} warm runs: "
            f"{grown / max(len(later) - third, 1):+.2f} MiB a run, "
            f"{last[-1].threads - first[0].threads:+d} threads, "
            f"{last[-1].files - first[0].files:+d} files, "
            f"{last[-1].temporary - first[0].temporary:+d} temporary files")


def peak(program: str, folder: Path) -> float:
    """Return the peak of resident memory of a program in MiB, in a process of its own."""
    done = subprocess.run([sys.executable, "-c", program + PEAK], cwd=folder, check=True,
                          capture_output=True, text=True)
    return int(done.stdout.split("VmHWM:")[1].split()[0]) / 1024


def main() -> None:
    """Read the options, run, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--profile", default="standard")
    parser.add_argument("--budget", type=float, default=180.0, help="seconds of each audit")
    parser.add_argument("--file", default=str(ROOT / "examples" / "lenet_mnist.py"))
    asked = parser.parse_args()
    file = Path(asked.file).resolve()
    print(growth(runs(str(file), asked.runs, asked.profile, asked.budget)))
    plain = peak(PLAIN.format(module=file.stem), file.parent)
    audited = peak(AUDIT.format(file=str(file), profile=asked.profile, budget=asked.budget),
                   file.parent)
    print(f"peak: plain training {plain:.0f} MiB, one audit {audited:.0f} MiB, "
          f"ratio {audited / plain:.2f}")


if __name__ == "__main__":
    main()
