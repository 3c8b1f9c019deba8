"""Tells on standard error what the audit is doing and how much time is left."""

from __future__ import annotations

import math
import os
import sys
from dataclasses import dataclass
from types import TracebackType


@dataclass(frozen=True)
class Progress:
    """What the audit is doing now.

    Attributes:
        doing: Name of the probe, or a phase.
        says: What it does, in one line.
        done: Probes that are through.
        total: Probes in all.
        seconds_left: Of the budget.
    """

    doing: str
    says: str
    done: int
    total: int
    seconds_left: float


class ProgressLine:
    """One line that is rewritten on a terminal; one plain line a probe elsewhere.

    Args:
        quiet: Say nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._live = sys.stderr.isatty() and "CI" not in os.environ
        self._width = 0

    def __enter__(self) -> ProgressLine:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the line empty."""
        self.clear()

    def __call__(self, progress: Progress) -> None:
        """Show what is going on now."""
        if self._quiet:
            return
        step = f"[{progress.done + 1}/{progress.total}] " if progress.total else ""
        left = progress.seconds_left
        time = "" if math.isinf(left) else f" ({max(left, 0.0):.0f} s left)"
        text = f"{step}{progress.doing}: {progress.says}{time}"
        if not self._live:
            print(text, file=sys.stderr, flush=True)
            return
        self.clear()
        text = text[:79]
        self._width = len(text)
        print(text, end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the line away."""
        if self._width:
            print("\r" + " " * self._width + "\r", end="", file=sys.stderr, flush=True)
            self._width = 0
