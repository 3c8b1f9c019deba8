"""Prints what the auditor costs: `python -m benchmarks.speed [PART ...]`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch

from . import audits, children, probes, recorder, scale, searches, snapshots
from .models import SETTINGS

# Part -> what measures it, its title, its share of the time.
_PARTS: dict[str, tuple[Callable[..., str], str, float]] = {
    "start": (children.start_table, "Start-up", 0.0),
    "recorder": (recorder.table, "Recorder, per training step", 0.4),
    "snapshot": (snapshots.table, "Snapshot and restore", 0.1),
    "probes": (probes.table, "Probes of an audit", 0.25),
    "searches": (searches.table, "Searches for a learning rate and a batch size", 0.0),
    "audit": (audits.table, "A whole audit", 0.0),
    "memory": (children.memory_table, "Peak memory of an audit", 0.25),
    "scale": (scale.table, "Scale", 0.0),
}


def main() -> None:
    """Measure the parts that were asked for, all by default, within about so many seconds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(_PARTS))
    parser.add_argument("--models", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--seconds", type=float, default=480.0, help="for all parts together")
    asked = parser.parse_args()
    unknown = set(asked.parts) - set(_PARTS)
    if unknown:
        parser.error(f"unknown part {', '.join(sorted(unknown))}; there are {', '.join(_PARTS)}")
    chosen = asked.parts or list(_PARTS)
    torch.set_num_threads(1)
    shares = sum(_PARTS[name][2] for name in chosen) or 1.0
    print(f"torch {torch.__version__}, {asked.device}, one thread")
    for name in chosen:
        measure, title, share = _PARTS[name]
        begin = time.monotonic()
        rows = measure(asked.models, seconds=asked.seconds * share / shares, device=asked.device)
        print(f"\n## {title}\n\n{rows}\n\n({time.monotonic() - begin:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
