"""What this machine has to give: cores and memory. No torch in here."""

from __future__ import annotations

import os
from pathlib import Path

_GROUP = Path("/sys/fs/cgroup")


def usable_cores() -> int:
    """Return on how many cores this process may run."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def free_bytes() -> int | None:
    """Return how much memory could be taken, here and in a container; None where unknown."""
    found = [free for free in (_free_of_machine(), _free_of_container()) if free is not None]
    return min(found) if found else None


def peak_bytes() -> int:
    """Return how much memory this process has held at most; 1 where unknown."""
    return _bytes_in(Path("/proc/self/status"), "VmHWM:") or 1


def _free_of_machine() -> int | None:
    return _bytes_in(Path("/proc/meminfo"), "MemAvailable:")


def _bytes_in(facts: Path, name: str) -> int | None:
    """Return one of the system's facts, which are told in kB."""
    if not facts.is_file():
        return None
    for line in facts.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    return None


def _free_of_container() -> int | None:
    try:
        most, now, facts = ((_GROUP / name).read_text(encoding="ascii").strip()
                            for name in ("memory.max", "memory.current", "memory.stat"))
    except OSError:
        # There are no control groups of this version here.
        return None
    # Files that were read a while ago make room; "max" stands for no limit.
    cached = sum(int(line.split()[1]) for line in facts.splitlines()
                 if line.startswith("inactive_file "))
    return int(most) - int(now) + cached if most.isdigit() else None
