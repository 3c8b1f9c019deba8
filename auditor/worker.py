"""The process in which `audit run` runs the user's code. What it measures goes to its parent.

On Linux it is a fork of a parent that has loaded neither torch nor the target and has one thread:
that costs nothing. Elsewhere a fresh interpreter runs this module.
"""

from __future__ import annotations

import atexit
import faulthandler
import fcntl
import json
import os
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from auditor.journal import Observations, Sender
from auditor.observation import Observation
from auditor.opened import listening
from auditor.parent import STOPS, die_with
from auditor.request import Request, request

# The parent sends it to learn where a hanging target stands.
STACK_SIGNAL = signal.SIGUSR2
# Above what programs count on; the user's code may close or reuse any number below.
_LOWEST_FD = 200


@dataclass(frozen=True)
class Ends:
    """The writing ends of the pipes to the parent, as file descriptors.

    Attributes:
        events: What is measured, line by line.
        output: What the user's code prints.
        stacks: Where Python stands, when it crashes or hangs.
    """

    events: int
    output: int
    stacks: int


def fork(asked: Request, ends: Ends, known: Observations, reads: Sequence[int]) -> int:
    """Start a worker as a copy of this process and return its id.

    Args:
        asked: What it audits.
        ends: It writes to.
        known: What it need not measure.
        reads: The parent's ends of the pipes.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    # Until the worker has handlers of its own.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    child = os.fork()
    if child == 0:
        try:
            for end in reads:
                os.close(end)
            _work(asked, ends, known, parent)
        finally:
            # Whatever happens, the copy must not go on with what the parent does.
            os._exit(1)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    return child


def main() -> NoReturn:
    """Work in a fresh interpreter, on the orders that the parent has written to a file."""
    events, output, stacks, orders, parent = map(int, sys.argv[1:])
    with open(orders, "rb") as file:
        told = json.load(file)
    sys.path[:], sys.argv[:] = told["path"], told["argv"]
    known = {int(seed): {name: Observation.from_json(seen) for name, seen in kept.items()}
             for seed, kept in told["known"].items()}
    asked = request(told["target"], told["options"])
    _work(asked, Ends(events, output, stacks), known, parent)


def orders(asked: Request, options: Mapping[str, Any], known: Observations) -> bytes:
    """Return what a fresh interpreter has to know."""
    return json.dumps({
        "path": sys.path, "argv": sys.argv, "target": asked.target, "options": dict(options),
        "known": {seed: {name: seen.to_json() for name, seen in kept.items()}
                  for seed, kept in known.items()},
    }, default=_plain).encode()


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} is no option")


def _work(asked: Request, ends: Ends, known: Observations, parent: int) -> NoReturn:
    """Audit, tell the parent, and end."""
    die_with(parent)
    os.dup2(ends.output, 1)
    os.dup2(ends.output, 2)
    events, stacks = (_aside(end) for end in (ends.events, ends.stacks))
    line = _Line(events, f"/proc/{parent}/fd/{ends.events}")
    for end in (ends.events, ends.output, ends.stacks):
        os.close(end)
    faulthandler.enable(file=stacks)
    faulthandler.register(STACK_SIGNAL, file=stacks)
    with listening() as opened:
        sender = Sender(line, known, lambda: opened.paths)
        try:
            _stop_once()
            report = asked.measure(journal=sender)
            sender.finished(report, elsewhere=opened.elsewhere)
        except KeyboardInterrupt:
            sender.interrupted()
        except BaseException as problem:
            sender.failed(problem, traceback.format_exc())
    _leave()


class _Line:
    """Writes whole lines to the parent; it does not trust the user's code with its descriptor.

    Args:
        fd: Of the pipe.
        name: By which the pipe can be opened again, on systems that have it.
    """

    def __init__(self, fd: int, name: str) -> None:
        self._fd, self._name = fd, name
        self._owner = os.getpid()
        self._pipe = _identity(fd)

    def __call__(self, line: bytes) -> None:
        if os.getpid() != self._owner:
            # The user's code has forked, and its child has come back into ours.
            os._exit(0)
        try:
            if not self._is_ours():
                # The user's code has closed it.
                self._fd = os.open(self._name, os.O_WRONLY | os.O_CLOEXEC)
            while line:
                line = line[os.write(self._fd, line):]
        except OSError:
            # The parent is gone: nobody hears it.
            return

    def _is_ours(self) -> bool:
        try:
            return _identity(self._fd) == self._pipe
        except OSError:
            return False


def _identity(fd: int) -> tuple[int, int]:
    found = os.fstat(fd)
    return found.st_dev, found.st_ino


def _aside(fd: int) -> int:
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _LOWEST_FD)


def _stop_once() -> None:
    """Let the first Ctrl-C or SIGTERM interrupt the audit; the parent minds all others.

    A terminal sends Ctrl-C to both processes, and the parent passes it on.
    """
    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        if not stopped:
            stopped = True
            raise KeyboardInterrupt

    for number in STOPS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)


def _leave() -> NoReturn:
    """End without what a whole interpreter does: it is another's copy, or about to be killed."""
    try:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(0)


if __name__ == "__main__":
    main()
