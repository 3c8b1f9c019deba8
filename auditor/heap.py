"""Memory that is free but still held by the C library.

Large tensors leave holes that the next ones do not fit into: without this a long run holds twice
what it needs.
"""

from __future__ import annotations

import ctypes
import sys
import time
from functools import lru_cache
from typing import Any

# Seconds; giving back and taking anew costs about a hundredth of that. What is not given back grows
# within a few steps.
_EVERY = 0.5


class Heap:
    """The heap of this process, which every trial uses."""

    def __init__(self) -> None:
        self._last = 0.0

    def give_back(self) -> None:
        """Return what has been freed to the system, where the C library can (glibc)."""
        self._last = time.monotonic()
        trim = _trim()
        if trim is not None:
            trim(0)

    def tidy(self) -> None:
        """Give back if that has not been done for a while."""
        # Asked at every step: the CPU time would take a call of the system, which may take as long
        # as the step where other programs wait for the processor.
        if time.monotonic() - self._last > _EVERY:
            self.give_back()


HEAP = Heap()


@lru_cache(maxsize=1)
def _trim() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
