"""Runs an audit in a worker process, and never waits for it in vain. No torch in here."""

from __future__ import annotations

import contextlib
import math
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any

from auditor import worker
from auditor.errors import ObservationError
from auditor.journal import Record
from auditor.parent import STOPS
from auditor.relay import Relay
from auditor.request import Request
from auditor.stacks import frame_in

# A beat of the watch: how long the end of a worker that says nothing can go unnoticed.
_BEAT_SECONDS = 0.1
# What a worker may be late by: after its budget, after Ctrl-C, and for its own clearing up.
_LATE_SECONDS, _LATE_SHARE = 30.0, 0.5
_INTERRUPT_SECONDS, _LEAVE_SECONDS, _STACK_SECONDS = 10.0, 5.0, 0.5
# Loading a target may take a download; a file that hangs while it is imported is found sooner.
_LOADING, _LOADING_BUDGETS, _LOADING_SECONDS = "loading", 5.0, 120.0
# Of the stacks, the last lines that can matter.
_STACK_BYTES = 1 << 16
_READ = 1 << 16


@dataclass(frozen=True)
class Ending:
    """How the worker ended, when it gave no report.

    Attributes:
        why: As the end of a sentence; empty when it has said itself what is wrong.
        interrupted: The user has ended it.
    """

    why: str = ""
    interrupted: bool = False


def can_supervise() -> bool:
    """Tell whether this system and thread can: it takes pipes and signals."""
    return os.name == "posix" and threading.current_thread() is threading.main_thread()


def supervise(
    asked: Request, options: Mapping[str, Any], record: Record, relay: Relay,
) -> Ending:
    """Run an audit in a worker until it has told everything or is gone.

    Args:
        asked: What is audited.
        options: From which `asked` was made, for a fresh interpreter.
        record: Hears what the worker tells.
        relay: Shows what the user's code prints.
    """
    pipes = [os.pipe() for _ in range(3)]
    ends = worker.Ends(*(write for _, write in pipes))
    reads = [read for read, _ in pipes]
    with _signals() as caught:
        child = _start(asked, options, ends, record, reads)
        watch = _Watch(child, reads, record, relay, caught, asked.effective.budget_seconds)
        try:
            return watch.run()
        finally:
            watch.close()
            for end in (ends.events, ends.output, ends.stacks):
                os.close(end)


def _start(
    asked: Request, options: Mapping[str, Any], ends: worker.Ends, record: Record,
    reads: list[int],
) -> int:
    """Start the worker and return its process id."""
    if sys.platform == "linux" and "torch" not in sys.modules and threading.active_count() == 1:
        return worker.fork(asked, ends, record.known, reads)
    with tempfile.TemporaryFile() as orders:
        orders.write(worker.orders(asked, options, record.known))
        orders.flush()
        orders.seek(0)
        fds = (ends.events, ends.output, ends.stacks, orders.fileno())
        flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
        started = subprocess.Popen(
            [sys.executable, *flags, "-m", "auditor.worker", *map(str, (*fds, os.getpid()))],
            pass_fds=fds)
    # The watch waits for it by its id.
    started.returncode = 0
    return started.pid


@contextlib.contextmanager
def _signals() -> Iterator[list[int]]:
    """Yield the list of signals to end that come in; their handlers are put back after."""
    caught: list[int] = []

    def catch(number: int, _: FrameType | None) -> None:
        caught.append(number)

    before = {number: signal.getsignal(number) for number in STOPS}
    for number, handler in before.items():
        # What is ignored (nohup) stays so.
        if handler is not signal.SIG_IGN:
            signal.signal(number, catch)
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Watch:
    """One worker: hears it, shows what it prints, and ends it when it is late."""

    def __init__(
        self, child: int, reads: list[int], record: Record, relay: Relay, caught: list[int],
        budget_seconds: float,
    ) -> None:
        self._child, self._record, self._relay, self._caught = child, record, relay, caught
        self._budget = budget_seconds
        self._events, self._output, self._stacks = reads
        self._line, self._stack = bytearray(), bytearray()
        self._status: int | None = None
        self._selector = selectors.DefaultSelector()
        for read in reads:
            os.set_blocking(read, False)
            self._selector.register(read, selectors.EVENT_READ)
        self._deadline = self._beat_at = time.monotonic()
        self._put_off()
        self._passed_on = False
        self._is_late = False

    def run(self) -> Ending:
        """Return how it ended, once everything it had told is heard."""
        while not self._is_gone():
            self._beat()
            if len(self._caught) > 1:
                self._kill()
            elif self._caught and not self._passed_on:
                self._pass_on()
            if time.monotonic() > self._deadline:
                self._end_late()
        self._drain()
        return self._ending()

    def close(self) -> None:
        """End the worker, if it is still there, and let go of the pipes."""
        if not self._is_gone():
            self._kill()
            os.waitpid(self._child, 0)
        self._selector.close()
        for read in (self._events, self._output, self._stacks):
            os.close(read)

    def _beat(self) -> None:
        """Hear what has come; put the deadline off when something was told."""
        for key, _ in self._selector.select(_BEAT_SECONDS):
            self._read(key.fd)
        now = time.monotonic()
        if now - self._beat_at > _LEAVE_SECONDS:
            # We were stopped ourselves (Ctrl-Z), and so was the worker.
            self._deadline += now - self._beat_at
        self._beat_at = now

    def _read(self, fd: int) -> bool:
        """Read once; tell whether there may be more."""
        try:
            data = os.read(fd, _READ)
        except BlockingIOError:
            return False
        if not data:
            self._selector.unregister(fd)
            return False
        if fd == self._events:
            self._hear(data)
        elif fd == self._output:
            self._relay.show(data)
        else:
            self._stack = (self._stack + data)[-_STACK_BYTES:]
        return True

    def _hear(self, data: bytes) -> None:
        *lines, rest = (bytes(self._line) + data).split(b"\n") if b"\n" in data else (data,)
        self._line = bytearray(rest) if lines else self._line + rest
        for line in lines:
            try:
                self._record.hear(line)
            except (ValueError, KeyError, TypeError, ObservationError) as problem:
                self._relay.say(f"A message of the worker was damaged: {problem}")
            self._put_off()

    def _put_off(self) -> None:
        """Give the worker time from now on, by what it is doing."""
        if self._record.is_over:
            self._deadline = time.monotonic() + _LEAVE_SECONDS
        elif not self._caught:
            self._deadline = time.monotonic() + self._allowed()

    def _allowed(self) -> float:
        progress = self._record.progress
        if progress is None or progress.doing == _LOADING:
            return max(_LOADING_BUDGETS * self._budget, _LOADING_SECONDS)
        left = max(progress.seconds_left, 0.0)
        return left + max(_LATE_SECONDS, _LATE_SHARE * self._budget)

    def _pass_on(self) -> None:
        self._passed_on = True
        self._deadline = time.monotonic() + _INTERRUPT_SECONDS
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._child, signal.SIGINT)

    def _end_late(self) -> None:
        if not self._record.is_over and not self._caught:
            self._is_late = True
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._child, worker.STACK_SIGNAL)
            until = time.monotonic() + _STACK_SECONDS
            while not self._is_gone() and time.monotonic() < until:
                self._beat()
        self._deadline = math.inf
        self._kill()

    def _kill(self) -> None:
        """End the worker and what it has started; it may wait for these."""
        for process in (self._child, *_children(self._child)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)

    def _is_gone(self) -> bool:
        if self._status is None:
            child, status = os.waitpid(self._child, os.WNOHANG)
            if child:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status is not None

    def _drain(self) -> None:
        """Read what is still in the pipes; processes that the user's code left may hold them."""
        for fd in (self._events, self._output, self._stacks):
            with contextlib.suppress(KeyError):
                self._selector.get_key(fd)
                until = time.monotonic() + _LEAVE_SECONDS
                while self._read(fd) and time.monotonic() < until:
                    pass

    def _ending(self) -> Ending:
        if self._record.report is not None or self._record.problem is not None:
            return Ending()
        if self._caught or self._record.stopped:
            return Ending("it was interrupted", interrupted=True)
        where = frame_in(bytes(self._stack))
        return Ending(f"the target hung{where} and was ended" if self._is_late
                      else f"{_how(self._status)}{where}")


def _how(status: int | None) -> str:
    """Return how a process ended that was not to."""
    if status is None or status >= 0:
        return f"the target ended the process itself (exit code {status})"
    name = signal.Signals(-status).name
    if -status == signal.SIGKILL:
        return f"the process of the target was killed ({name}; too little memory can be why)"
    return f"the process of the target crashed ({name})"


def _children(process: int) -> list[int]:
    """Return the processes below one, where the system tells."""
    found = []
    with contextlib.suppress(OSError, ValueError):
        for thread in os.listdir(f"/proc/{process}/task"):
            with open(f"/proc/{process}/task/{thread}/children", encoding="ascii") as file:
                own = [int(child) for child in file.read().split()]
            found += [*own, *(below for child in own for below in _children(child))]
    return found
