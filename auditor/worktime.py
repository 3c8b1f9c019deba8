"""How much of an audit is the user's forward, backward and optimizer steps: its useful part."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

FORWARD = "running the model and the loss on a batch"
BACKWARD = "running backward"
UPDATE = "taking an optimizer step"


class _Clock:
    """Wall time of all steps in this process so far; one inside of another counts once."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.depth = 0


_clock = _Clock()


@contextmanager
def counted(doing: str) -> Iterator[None]:
    """Count the time inside, if it is part of a training step.

    Args:
        doing: What `user_code` was told; one of `FORWARD`, `BACKWARD`, `UPDATE` counts.
    """
    if doing not in (FORWARD, BACKWARD, UPDATE) or _clock.depth:
        yield
        return
    begin = time.perf_counter()
    _clock.depth = 1
    try:
        yield
    finally:
        _clock.depth = 0
        _clock.seconds += time.perf_counter() - begin


def seconds() -> float:
    """Return the time of all training steps in this process so far."""
    return _clock.seconds


def add(more: float) -> None:
    """Count steps that were taken for this process elsewhere."""
    _clock.seconds += more
