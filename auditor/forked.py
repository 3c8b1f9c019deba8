"""One job in a copy of this process: a fork that tells its answer as plain data, and ends.

It has a group of its own, is ended with all that it has started, and ends with its parent.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeAlias

from auditor import opened, worktime
from auditor.parent import STOPS, die_with

Job: TypeAlias = Callable[[], Any]

_READ = 1 << 16


@dataclass
class Copy:
    """A child process that does one job.

    Attributes:
        process: Its id.
        read: The end of its pipe.
        heard: What it has said so far.
        is_gone: It was ended.
    """

    process: int
    read: int
    heard: bytearray = field(default_factory=bytearray)
    is_gone: bool = False

    def hear(self) -> bool:
        """Hear what it has said so far; tell whether that is all."""
        with suppress(BlockingIOError):
            while data := os.read(self.read, _READ):
                self.heard += data
                if self.heard.endswith(b"\n"):
                    return True
            return True
        return False

    @property
    def answer(self) -> dict[str, Any] | None:
        """What it has told: `value`, and what it did meanwhile; None if it broke off."""
        try:
            told = json.loads(self.heard)
        except ValueError:
            return None
        return told if isinstance(told, dict) else None

    def is_over(self) -> bool:
        """Tell whether it has ended by itself; how can still be asked for."""
        try:
            flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
            return os.waitid(os.P_PID, self.process, flags) is not None
        except ChildProcessError:
            # Somebody has asked for its end before.
            return True

    def end(self) -> int | None:
        """End it with what it has started; return how it ended (-9: killed), None if unknown."""
        if self.is_gone:
            return None
        for kill in (os.killpg, os.kill):
            with suppress(ProcessLookupError, PermissionError):
                kill(self.process, signal.SIGKILL)
        try:
            status = os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])
        except ChildProcessError:
            # The user's code has a handler that asks for the ends of all children.
            status = None
        self.is_gone = True
        os.close(self.read)
        return status


def fork(job: Job, note: Callable[[Copy], None]) -> None:
    """Start a copy of this process that does a job.

    Args:
        job: Returns what JSON can hold.
        note: Is given the copy before any signal can come between.

    Raises:
        OSError: The system has no room for another process.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    read, write = os.pipe()
    os.set_blocking(read, False)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        with opened.deaf(), warnings.catch_warnings():
            # Python warns of threads; those of torch's pool wait, and a copy does not use them.
            warnings.simplefilter("ignore", DeprecationWarning)
            try:
                process = os.fork()
            except OSError:
                os.close(read)
                os.close(write)
                raise
        if process == 0:
            _work(job, parent, write)
        with suppress(OSError):
            # The copy does it too; whoever is first, it is done before it is killed.
            os.setpgid(process, process)
        note(Copy(process, read))
        os.close(write)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(job: Job, parent: int, write: int) -> NoReturn:
    """Do a job in a copy, tell its answer, and end without what a whole interpreter does."""
    try:
        own = os.getpid()
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
        # The user's code may have forked, and its child have come back into ours.
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
