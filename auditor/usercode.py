"""Runs the user's code: its failures become messages that quote the user's own line."""

from __future__ import annotations

import linecache
import os
import signal
import sys
import sysconfig
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from types import FrameType, TracebackType
from typing import Any

from auditor.errors import AuditorError, TargetError, TargetTimeout

_HERE = os.path.dirname(os.path.realpath(__file__))


@contextmanager
def user_code(doing: str, *, seconds: float | None = None) -> Iterator[None]:
    """Run the user's code inside; whatever it raises becomes a `TargetError`.

    Args:
        doing: What we were about, for the message ("running forward on the first batch").
        seconds: Wall time after which it counts as hanging; only in the main thread of a system
            that has alarms, else there is no limit.

    Raises:
        TargetError: The code raised; `where` is a code frame of the user's own line.
        TargetTimeout: It did not come back in time.
    """
    with _alarm(doing, seconds):
        try:
            yield
        except (AuditorError, KeyboardInterrupt):
            raise
        except SystemExit as stop:
            raise TargetError(
                f"The file ended the program (sys.exit({stop.code!r})) while {doing}.",
                where=frame_of(stop.__traceback__),
                hint="Put the program's own start behind `if __name__ == \"__main__\":`.",
            ) from stop
        except Exception as problem:
            raise TargetError(
                f"{doing[:1].upper()}{doing[1:]} failed: {type(problem).__name__}: {problem}",
                where=frame_of(problem.__traceback__),
            ) from problem


def frame_of(trace: TracebackType | None) -> str:
    """Return a code frame of the innermost line of the user's own files; empty if there is none."""
    own = [entry for entry in traceback.extract_tb(trace) if is_users(entry.filename)]
    if not own:
        return ""
    last = own[-1]
    return code_frame(last.filename, last.lineno or 1)


def code_frame(file: str, line: int) -> str:
    """Return `--> file:line` and the source line itself."""
    text = linecache.getline(file, line).rstrip()
    return f"  --> {shown_path(file)}:{line}\n   | {text}"


def shown_path(file: str) -> str:
    """Return a path as the user would write it: relative when it lies below the working folder."""
    try:
        relative = os.path.relpath(os.path.realpath(file))
    except ValueError:
        return file
    return file if relative.startswith("..") else relative


@lru_cache(maxsize=4096)
def is_users(file: str) -> bool:
    """Tell whether a source file is the user's: not ours, not the library's, not Python's."""
    if file.startswith("<"):
        return False
    path = os.path.realpath(file)
    return not path.startswith(_library_folders())


@lru_cache(maxsize=1)
def _library_folders() -> tuple[str, ...]:
    folders = {sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")}
    torch = sys.modules.get("torch")
    if torch is not None and torch.__file__:
        folders.add(os.path.dirname(torch.__file__))
    folders |= {_HERE, *(os.path.join(os.path.dirname(_HERE), wing) for wing in
                         ("probes", "rules", "reports")
                         if os.path.exists(os.path.join(os.path.dirname(_HERE), "pyproject.toml")))}
    return tuple(os.path.realpath(folder) + os.sep for folder in folders)


@contextmanager
def _alarm(doing: str, seconds: float | None) -> Iterator[None]:
    """Raise `TargetTimeout` in the user's code after some time; an outer alarm goes on after."""
    possible = (
        seconds is not None
        and hasattr(signal, "setitimer")
        and threading.current_thread() is threading.main_thread()
    )
    if not possible or seconds is None or signal.getitimer(signal.ITIMER_REAL)[0]:
        yield
        return

    def ring(_: int, frame: FrameType | None) -> None:
        raise TargetTimeout(
            f"{doing[:1].upper()}{doing[1:]} did not end within {seconds:.0f} s.",
            where=_frame_of_running(frame),
        )

    before: Any = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _frame_of_running(frame: FrameType | None) -> str:
    while frame is not None and not is_users(frame.f_code.co_filename):
        frame = frame.f_back
    return code_frame(frame.f_code.co_filename, frame.f_lineno) if frame is not None else ""
