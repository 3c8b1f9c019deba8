"""Runs the user's code: its failures become messages that quote the user's own line."""

from __future__ import annotations

import linecache
import math
import os
import re
import signal
import sys
import sysconfig
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from types import FrameType, TracebackType
from typing import Any

from auditor.errors import AuditorError, TargetError, TargetTimeout
from auditor.visible import shortened, words_of
from auditor.worktime import counted

_HERE = os.path.dirname(os.path.realpath(__file__))
_RING_AGAIN_SECONDS = 1.0
_FRAME = re.compile(r'File "(?P<file>[^"\n]+)", line (?P<line>\d+), in ')
# Characters of a source line in a code frame.
_SHOWN = 400
_PACKAGES = frozenset({"site-packages", "dist-packages"})


@contextmanager
def within(seconds: float, doing: str) -> Iterator[None]:
    """Stop what runs inside when it takes longer; in the main thread of a system with alarms only.

    Raises:
        TargetTimeout: It did; `where` is a code frame of the user's own line.
    """
    limit = _TimeLimit(None if math.isinf(seconds) else seconds)
    try:
        with limit:
            yield
    except _TimeUp as stop:
        if stop.limit is not limit:
            raise
        raise TargetTimeout(
            f"{_sentence(doing)} did not end within {stop.limit.seconds:.0f} s.", where=stop.where,
        ) from None


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
    try:
        with counted(doing), nullcontext() if seconds is None else within(seconds, doing):
            yield
    except (AuditorError, KeyboardInterrupt, GeneratorExit, _TimeUp):
        raise
    except SystemExit as stop:
        raise TargetError(
            f"The file ended the program (sys.exit({stop.code!r})) while {doing}.",
            where=frame_of(stop.__traceback__),
            hint="Put the program's own start behind `if __name__ == \"__main__\":`.",
        ) from stop
    except BaseException as problem:
        # The user may have made an exception that no `except Exception` catches.
        words, elsewhere = _carried(words_of(problem), type(problem).__name__)
        raise TargetError(
            f"{_sentence(doing)} failed: {type(problem).__name__}: {words}".rstrip(": "),
            where=_syntax_frame(problem) or elsewhere or frame_of(problem.__traceback__),
        ) from problem


def frame_of(trace: TracebackType | None) -> str:
    """Return a code frame of the innermost line of the user's own files; empty if there is none."""
    own = [entry for entry in traceback.extract_tb(trace) if is_users(entry.filename)]
    if not own:
        return ""
    last = own[-1]
    return code_frame(last.filename, last.lineno or 1)


def _carried(words: str, kind: str) -> tuple[str, str]:
    """Return the message and the user's line of an exception from a loader's worker process.

    torch sends the whole traceback as the message.
    """
    if "Original Traceback (most recent call last)" not in words:
        return words, ""
    lines = words.rstrip().splitlines()
    last = max(index for index, line in enumerate(lines) if line.startswith((" ", "Original")))
    own = [found for found in _FRAME.finditer(words) if is_users(found["file"])]
    where = code_frame(own[-1]["file"], int(own[-1]["line"])) if own else ""
    message = "\n".join(lines[last + 1:]).removeprefix(f"{kind}: ")
    return f"{message} (in a worker process of the loader)", where


def code_frame(file: str, line: int) -> str:
    """Return `--> file:line` and the source line itself."""
    text = shortened(linecache.getline(file, line).rstrip(), _SHOWN)
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
    # Compiled extensions name sources that were there when they were built.
    if file.startswith("<") or not (os.path.isabs(file) or os.path.exists(file)):
        return False
    path = os.path.realpath(file)
    # An environment may borrow the packages of another one, whose folder it does not know.
    borrowed = not _PACKAGES.isdisjoint(path.split(os.sep))
    return not borrowed and not path.startswith(_library_folders())


@lru_cache(maxsize=4096)
def is_ours(file: str) -> bool:
    """Tell whether a source file is the auditor's own: its frames bound the user's code."""
    return os.path.realpath(file).startswith(_own_folders())


def users_frame(frame: FrameType | None) -> FrameType | None:
    """Return the first frame from here upward that is the user's, of the call that we made.

    Above our own frames stands whoever called us (a script, a test), and that is no place.
    """
    while frame is not None and not is_ours(frame.f_code.co_filename):
        if is_users(frame.f_code.co_filename):
            return frame
        frame = frame.f_back
    return None


@lru_cache(maxsize=1)
def _own_folders() -> tuple[str, ...]:
    root = os.path.dirname(_HERE)
    folders = [_HERE]
    if os.path.exists(os.path.join(root, "pyproject.toml")):
        # In a checkout the wings lie beside the core.
        folders += [os.path.join(root, wing) for wing in ("probes", "rules", "reports")]
    return tuple(folder + os.sep for folder in folders)


@lru_cache(maxsize=1)
def _library_folders() -> tuple[str, ...]:
    folders = {sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")}
    torch = sys.modules.get("torch")
    if torch is not None and torch.__file__:
        folders.add(os.path.dirname(torch.__file__))
    libraries = tuple(os.path.realpath(folder) + os.sep for folder in folders)
    return libraries + _own_folders()


class _TimeUp(BaseException):
    """The alarm rang; no `except Exception` of the user's can swallow it."""

    def __init__(self, limit: _TimeLimit, where: str) -> None:
        super().__init__()
        self.limit = limit
        self.where = where


class _TimeLimit:
    """Raises `_TimeUp` in the user's code after some time; an outer limit goes on after."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds or 0.0
        self._possible = (
            seconds is not None
            and hasattr(signal, "setitimer")
            and threading.current_thread() is threading.main_thread()
        )

    def __enter__(self) -> None:
        if not self._possible:
            return
        self._begin = time.monotonic()
        self._outer_handler: Any = signal.getsignal(signal.SIGALRM)
        self._outer_left, self._outer_again = signal.getitimer(signal.ITIMER_REAL)
        if self._outer_left and self._outer_left <= self.seconds:
            self._possible = False
            return
        signal.signal(signal.SIGALRM, self._ring)
        # It rings again, in case a bare `except:` of the user's takes the first one.
        signal.setitimer(signal.ITIMER_REAL, self.seconds, _RING_AGAIN_SECONDS)

    def __exit__(self, *_: object) -> None:
        if not self._possible:
            return
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._outer_handler)
        if self._outer_left:
            left = self._outer_left - (time.monotonic() - self._begin)
            signal.setitimer(signal.ITIMER_REAL, max(left, 0.001), self._outer_again)

    def _ring(self, _: int, frame: FrameType | None) -> None:
        raise _TimeUp(self, _frame_of_running(frame))


def _frame_of_running(frame: FrameType | None) -> str:
    frame = users_frame(frame)
    return code_frame(frame.f_code.co_filename, frame.f_lineno) if frame is not None else ""


def _syntax_frame(problem: BaseException) -> str:
    """Return the frame of the line that could not be parsed, with a caret under the place."""
    if not isinstance(problem, SyntaxError) or not problem.filename:
        return ""
    if not is_users(problem.filename):
        return ""
    text = (problem.text or "").rstrip()
    is_shown = problem.offset and text and len(text) <= _SHOWN
    caret = f"\n   | {' ' * (problem.offset - 1)}^" if problem.offset and is_shown else ""
    text = shortened(text, _SHOWN)
    return f"  --> {shown_path(problem.filename)}:{problem.lineno}\n   | {text}{caret}"


def _sentence(doing: str) -> str:
    return doing[:1].upper() + doing[1:]
