"""Runs that do not depend on each other, in copies of this process where there are cores.

A copy is a fork, so nothing is loaded or built twice, and batches are shared. What it finds comes
back as plain data. It is forked only where that is safe: on Linux, from the only Python thread,
without other child processes (the workers of a loader), and without an accelerator, whose driver
and whose threads of autograd a copy does not have. A run has one thread here as there, so that its
numbers are the same however many copies there are.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import multiprocessing
import os
import select
import signal
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

import torch

from auditor import opened, worktime
from auditor.machine import free_bytes, peak_bytes, usable_cores
from auditor.parent import STOPS, die_with

Job: TypeAlias = Callable[[], Any]

# More copies than this are never busy: there are not so many runs at a time.
_MOST = 8
# Jobs that take less do not pay for the copies.
_WORTH_SECONDS = 0.5
# Where steps are slow on more threads than these, the threads are used better than copies.
_FEW_THREADS, _SLOW_STEP = 2, 0.05
# A copy that takes this much longer than expected, or goes on so long after the end, hangs.
_LATE, _LATE_SECONDS, _END_SECONDS = 10.0, 20.0, 5.0
_BEAT_SECONDS = 0.05
_READ = 1 << 16


@dataclass(frozen=True)
class Lost:
    """A job without an answer.

    Attributes:
        crash: How its process ended; empty if the job may well end when it is done here.
    """

    crash: str = ""


@dataclass
class _Copy:
    """A child process that does one job."""

    process: int
    number: int
    read: int
    late: float
    heard: bytes = b""


class Crew:
    """Does jobs side by side.

    Args:
        workers: Most copies at a time; None takes as many as cores can be used.
        step_seconds: Of one training step of the target; 0 while unknown.
    """

    def __init__(self, workers: int | None = None, step_seconds: float = 0.0) -> None:
        self._workers = min(usable_cores(), _MOST) if workers is None else workers
        threads = torch.get_num_threads()
        self._is_possible = (
            sys.platform == "linux" and step_seconds > 0 and not _has_accelerator()
            and (threads <= _FEW_THREADS or step_seconds < _SLOW_STEP))
        self._copies: dict[int, _Copy] = {}
        self._hung = False

    @contextmanager
    def one_thread(self) -> Iterator[None]:
        """Compute with one thread inside, if copies are possible here, whether used or not.

        The order in which threads add up would show in the numbers, and the pool of threads that
        this process has is not there in a copy: one that wants it waits for ever.
        """
        threads = torch.get_num_threads()
        if self._is_possible and threads > 1:
            torch.set_num_threads(1)
        try:
            yield
        finally:
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)

    def hands(self, seconds: float) -> int:
        """Return how many jobs of so many seconds together can be done at a time; 1 means here."""
        alone = (not self._is_possible or self._workers < 2 or self._hung
                 or seconds < _WORTH_SECONDS or torch.get_num_threads() > 1
                 or threading.active_count() > 1 or bool(multiprocessing.active_children()))
        if alone:
            return 1
        free = free_bytes()
        # A copy shares what is there, and may need anew what this process has ever held.
        return max(1, self._workers if free is None else min(self._workers, free // peak_bytes()))

    def do(self, jobs: Sequence[Job], *, hands: int, seconds: float, deadline: float) -> list[Any]:
        """Do every job in a copy of this process and return its answer, or `Lost`, in order.

        Args:
            jobs: They return what JSON can hold, and end by themselves at the deadline.
            hands: How many at a time.
            seconds: That one of them is expected to take.
            deadline: `time.monotonic()`.
        """
        answers: list[Any] = [Lost()] * len(jobs)
        waiting = deque(enumerate(jobs))
        begin, told = time.monotonic(), []
        try:
            while waiting or self._copies:
                while waiting and len(self._copies) < hands and not self._hung:
                    number, job = waiting.popleft()
                    late = min(time.monotonic() + _LATE_SECONDS + _LATE * hands * seconds,
                               deadline + _END_SECONDS)
                    self._fork(number, job, late)
                for copy in self._ended():
                    answer = self._answer(copy)
                    if isinstance(answer, Lost):
                        answers[copy.number] = answer
                    else:
                        told.append(answer)
                        answers[copy.number] = answer["value"]
                if self._hung:
                    waiting.clear()
        finally:
            for copy in list(self._copies.values()):
                self._let_go(copy)
        _account(told, time.monotonic() - begin)
        return answers

    def _fork(self, number: int, job: Job, late: float) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        read, write = os.pipe()
        # A signal must not come between the fork and the note of it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
        try:
            with opened.deaf(), warnings.catch_warnings():
                # Python warns of threads; those of torch's pool wait, and a copy does not use them.
                warnings.simplefilter("ignore", DeprecationWarning)
                process = os.fork()
            if process == 0:
                _work(job, parent, write)
            with suppress(OSError):
                # The copy does it too; whoever is first, it is done before it is killed.
                os.setpgid(process, process)
            self._copies[read] = _Copy(process, number, read, late)
            os.close(write)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _ended(self) -> list[_Copy]:
        """Hear the copies for a moment; return those that are done, dead or late."""
        ready, _, _ = select.select(list(self._copies), [], [], _BEAT_SECONDS)
        done = []
        for read in ready:
            copy = self._copies[read]
            data = os.read(read, _READ)
            copy.heard += data
            if not data or copy.heard.endswith(b"\n"):
                done.append(copy)
        now = time.monotonic()
        return done + [copy for copy in self._copies.values() if copy not in done and (
            now > copy.late or _is_over(copy.process))]

    def _answer(self, copy: _Copy) -> Any:
        """Return what a copy has said, once it is gone."""
        is_late = time.monotonic() > copy.late
        status = self._let_go(copy)
        try:
            told = json.loads(copy.heard)
        except ValueError:
            told = None
        if told is not None:
            return told
        if is_late:
            self._hung = True
        return Lost("" if copy.heard or is_late else _how(status))

    def _let_go(self, copy: _Copy) -> int:
        """End a copy and what it has started; return how it ended."""
        # One that is over by itself keeps the way in which it ended.
        _is_over(copy.process)
        for kill in (os.killpg, os.kill):
            with suppress(ProcessLookupError, PermissionError):
                kill(copy.process, signal.SIGKILL)
        _, status = os.waitpid(copy.process, 0)
        os.close(copy.read)
        del self._copies[copy.read]
        return os.waitstatus_to_exitcode(status)


def _is_over(process: int) -> bool:
    """Tell whether a child has ended; its status can still be asked for."""
    return os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _work(job: Job, parent: int, write: int) -> NoReturn:
    """Do a job in a copy, tell its answer, and end without what a whole interpreter does."""
    try:
        own = os.getpid()
        # A group of its own, to be ended with all that it starts.
        os.setpgid(0, 0)
        die_with(parent)
        faulthandler.disable()
        for number in STOPS:
            # What is ignored (nohup) stays so.
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
        # What the parent holds is no garbage here, and looking for some would copy all of it.
        gc.freeze()
        answer = _measured(job)
        if os.getpid() == own:
            sys.stdout.flush()
            sys.stderr.flush()
            while answer:
                answer = answer[os.write(write, answer):]
    except BaseException:
        # No job ends so: whatever it is, it shows when the parent does the job itself.
        with suppress(OSError):
            os.write(write, b"null\n")
    finally:
        os._exit(0)


def _measured(job: Job) -> bytes:
    begin, worked = time.perf_counter(), worktime.seconds()
    with opened.listening() as heard:
        value = job()
    return json.dumps({
        "value": value, "worked": worktime.seconds() - worked,
        "took": time.perf_counter() - begin, "opened": sorted(heard.paths),
        "elsewhere": heard.elsewhere,
    }).encode() + b"\n"


def _account(told: Sequence[dict[str, Any]], seconds: float) -> None:
    """Count what copies did as if it had been done here: files, and the share of training steps."""
    for one in told:
        opened.heard(one["opened"], elsewhere=one["elsewhere"])
    took = sum(one["took"] for one in told)
    if took:
        worktime.add(seconds * sum(one["worked"] for one in told) / took)


def _how(status: int) -> str:
    """Return how a process ended that gave no answer; empty if it was killed from outside."""
    if status >= 0:
        return f"it ended the process itself (exit code {status})"
    name = signal.Signals(-status).name
    return "" if -status in (signal.SIGKILL, *STOPS) else f"its process crashed ({name})"


def _has_accelerator() -> bool:
    return torch.cuda.is_available() or torch.backends.mps.is_available() or (
        hasattr(torch, "xpu") and torch.xpu.is_available())
