"""Shows what the user's code prints, up to a limit."""

from __future__ import annotations

import sys

from auditor.progress import ProgressLine

# A target that prints more than this says nothing that anybody reads.
MOST_BYTES = 1 << 20


class Relay:
    """Passes the output of a worker on to standard error.

    Args:
        line: Of the progress, which is taken away before anything else is written.
    """

    def __init__(self, line: ProgressLine) -> None:
        self._line = line
        self._left = MOST_BYTES

    def show(self, data: bytes) -> None:
        """Show what the user's code has printed; beyond the limit it is dropped."""
        if self._left <= 0:
            return
        shown = data[: self._left]
        self._left -= len(data)
        self._write(shown)
        if self._left <= 0:
            self.say(f"\nThe target has printed {MOST_BYTES >> 20} MiB; the rest is not shown.")

    def say(self, sentence: str) -> None:
        """Say something ourselves."""
        self._write(f"{sentence}\n".encode())

    def _write(self, data: bytes) -> None:
        self._line.clear()
        try:
            sys.stderr.buffer.write(data)
            sys.stderr.flush()
        except (OSError, ValueError):
            # Nobody reads our standard error; that must not end the audit.
            self._left = 0
