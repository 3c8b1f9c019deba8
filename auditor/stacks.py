"""Finds the user's line in the stack that a crashing or hanging process has left."""

from __future__ import annotations

import linecache
import re

from auditor.usercode import is_ours, is_users, shown_path

_FRAME = re.compile(r'File "(?P<file>[^"\n]+)", line (?P<line>\d+) in ')


def frame_in(stack: bytes) -> str:
    """Return ` at file:line (code)`; empty if the user's code is not in the stack.

    Args:
        stack: As `faulthandler` writes it, threads one after the other, innermost frame first.
    """
    threads = stack.decode("utf-8", "replace").split("most recent call first)")
    # Ours is in the main thread, where the user's code runs.
    for thread in sorted(threads, key=lambda text: "worker.py" not in text):
        for found in _FRAME.finditer(thread):
            if is_ours(found["file"]):
                break
            if is_users(found["file"]):
                return _told(found["file"], int(found["line"]))
    return ""


def _told(file: str, line: int) -> str:
    code = linecache.getline(file, line).strip()
    return f" at {shown_path(file)}:{line}" + (f" (`{code}`)" if code else "")
