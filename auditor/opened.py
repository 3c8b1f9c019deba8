"""Notes which files an audit reads, so that an unchanged target can be told from a changed one."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

# What a target gets from these can change without any file of its own changing.
_ELSEWHERE = frozenset({
    "socket.connect", "socket.getaddrinfo", "sqlite3.connect", "os.fork", "os.posix_spawn",
    "subprocess.Popen", "os.system",
})
_FOLDERS = ("os.listdir", "os.scandir")
# Caches of the system and of the interpreter say nothing about the target.
_NOT_DATA = ("/proc/", "/sys/", "/dev/", "/etc/")


class Opened:
    """The files and folders that were read while it listened.

    Attributes:
        paths: Absolute, of files and of folders whose content was listed.
        elsewhere: Something was read that no file tells of: another process, the network.
    """

    def __init__(self, paths: Iterable[str] = (), *, elsewhere: bool = False) -> None:
        self.paths = set(paths)
        self.elsewhere = elsewhere

    def note(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Note one event of the interpreter."""
        if event in _ELSEWHERE:
            self.elsewhere = True
        elif event == "open" and not _is_written(arguments):
            self._note_path(arguments[0])
        elif event in _FOLDERS and not _is_import():
            self._note_path(arguments[0])

    def _note_path(self, path: object) -> None:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return
        try:
            name = os.path.abspath(os.fsdecode(path))
        except OSError:
            # The working directory is gone; nothing may be raised into the user's call.
            self.elsewhere = True
            return
        if name.endswith(".pyc"):
            name = _source_of(name)
        if not name.startswith(_LIBRARIES) and not name.startswith(_NOT_DATA):
            self.paths.add(name)


@contextmanager
def listening() -> Iterator[Opened]:
    """Note what is read inside."""
    global _listener
    if not _is_hooked:
        _hook()
    opened = Opened()
    before, _listener = _listener, opened
    try:
        yield opened
    finally:
        _listener = before


@contextmanager
def deaf() -> Iterator[None]:
    """Note nothing inside: what happens is the auditor's own doing."""
    global _listener
    before, _listener = _listener, None
    try:
        yield
    finally:
        _listener = before


def heard(paths: Iterable[str], *, elsewhere: bool) -> None:
    """Note what another process has read for this one."""
    if _listener is not None:
        _listener.paths.update(paths)
        _listener.elsewhere = _listener.elsewhere or elsewhere


def _is_written(arguments: tuple[Any, ...]) -> bool:
    mode, flags = arguments[1], arguments[2]
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax")
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR))


def _is_import() -> bool:
    """Tell whether it is for an import that a folder is listed; any new file there is harmless."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename in _BETWEEN:
        frame = frame.f_back
    return frame is not None and frame.f_code.co_filename.startswith(_IMPORT_SYSTEM)


def _source_of(compiled: str) -> str:
    try:
        return importlib.util.source_from_cache(compiled)
    except ValueError:
        return compiled


def _library_folders() -> tuple[str, ...]:
    """Return where installed libraries lie: their versions stand for their files."""
    paths = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return tuple(f"{os.path.abspath(path)}{os.sep}" for path in paths)


def _hook() -> None:
    """Hang the one hook of the process; there is no way to take it off again."""
    global _is_hooked
    sys.addaudithook(_forward)
    _is_hooked = True


def _forward(event: str, arguments: tuple[Any, ...]) -> None:
    if _listener is not None:
        _listener.note(event, arguments)


_BETWEEN = (__file__, pathlib.__file__)
# The auditor itself lists the folder of the target, for the names of modules in it.
_IMPORT_SYSTEM = ("<frozen importlib", f"{os.path.dirname(importlib.__file__)}{os.sep}",
                  f"{os.path.dirname(__file__)}{os.sep}")
_LIBRARIES = _library_folders()
_listener: Opened | None = None
_is_hooked = False
