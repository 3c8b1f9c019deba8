"""Runs that do not depend on each other, in copies of this process where there are cores.

A copy is a fork, so nothing is loaded or built twice, and batches are shared. What it finds comes
back as plain data. It is forked only where that is safe: on Linux, from the only Python thread,
without other child processes (the workers of a loader), and without an accelerator, whose driver
and whose threads of autograd a copy does not have. A run has one thread here as there, so that its
numbers are the same however many copies there are.
"""

from __future__ import annotations

import multiprocessing
import select
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from auditor import opened, worktime
from auditor.forked import Copy, Job, fork
from auditor.machine import free_bytes, peak_bytes, usable_cores
from auditor.parent import STOPS

# More copies than this are never busy: there are not so many runs at a time.
_MOST = 8
# A copy costs some 0.08 s (its pages are copied as it writes); shorter jobs do not pay for it.
_WORTH_SECONDS = 0.25
# Where steps are slow on more threads than these, the threads are used better than copies.
_FEW_THREADS, _SLOW_STEP = 2, 0.05
# A copy that takes this much longer than expected, or goes on so long after the end, hangs.
_LATE, _LATE_SECONDS, _END_SECONDS = 10.0, 20.0, 5.0
_BEAT_SECONDS = 0.05


@dataclass(frozen=True)
class Lost:
    """A job without an answer.

    Attributes:
        crash: How its process ended; empty if the job may well end when it is done here.
    """

    crash: str = ""


@dataclass
class _Running:
    """A job that is being done: which one, and when it counts as hanging."""

    copy: Copy
    number: int
    late: float


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
        self._running: list[_Running] = []
        self._unfit = False

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
        """Return how many jobs of so many seconds each can be done at a time; 1 means here."""
        alone = (not self._is_possible or self._workers < 2 or self._unfit
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
            while waiting or self._running:
                while waiting and len(self._running) < hands and not self._unfit:
                    number, job = waiting.popleft()
                    late = min(time.monotonic() + _LATE_SECONDS + _LATE * hands * seconds,
                               deadline + _END_SECONDS)
                    self._begin(job, number, late)
                for one in self._ended():
                    answers[one.number] = self._answer(one)
                    if one.copy.answer is not None:
                        told.append(one.copy.answer)
                if self._unfit:
                    waiting.clear()
        finally:
            for one in self._running:
                one.copy.end()
            self._running.clear()
        _account(told, time.monotonic() - begin)
        return answers

    def _begin(self, job: Job, number: int, late: float) -> None:
        try:
            fork(job, lambda copy: self._running.append(_Running(copy, number, late)))
        except OSError:
            # There is no room for more processes: what is left is done here.
            self._unfit = True

    def _ended(self) -> list[_Running]:
        """Hear the copies for a moment; return those that are done, dead or late."""
        select.select([one.copy.read for one in self._running], [], [], _BEAT_SECONDS)
        done = []
        for one in self._running:
            # Asked before it is heard: what it has said by its end is heard whole.
            is_over = one.copy.is_over() or time.monotonic() > one.late
            if one.copy.hear() or is_over:
                done.append(one)
        return done

    def _answer(self, one: _Running) -> Any:
        """Return what a copy has said, once it is gone."""
        is_late = time.monotonic() > one.late
        status = one.copy.end()
        self._running.remove(one)
        answer = one.copy.answer
        if answer is not None:
            return answer["value"]
        self._unfit = self._unfit or is_late
        return Lost("" if one.copy.heard or is_late or status is None else _how(status))


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
