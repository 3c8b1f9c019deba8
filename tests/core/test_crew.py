"""Runs in copies of the process: the same numbers, whatever the copies do, and nothing is left."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from builders import target
from torch import nn
from trial_cases import at_rate, blobs, crawling, found, judged, tried

from auditor import crew as crew_module
from auditor import worktime
from auditor.counterfactual import Lab, Runs
from auditor.crew import Crew, Lost
from auditor.finding import Fix
from auditor.opened import listening
from auditor.probe import OutOfTime
from auditor.remedy import Mended
from auditor.store import BatchStore
from auditor.target import Target

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="copies are made on Linux only")

STEP = 0.01
FAR = math.inf


@pytest.fixture(autouse=True)
def worth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small jobs are worth a copy here."""
    monkeypatch.setattr(crew_module, "_WORTH_SECONDS", 0.0)


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = opened_and_children()
    yield
    assert opened_and_children() == before


def opened_and_children() -> tuple[set[str], list[int]]:
    return set(os.listdir("/proc/self/fd")), children_of(os.getpid())


def children_of(process: int) -> list[int]:
    return [int(child) for child in
            Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def do(*jobs: Callable[[], Any], deadline: float = FAR, seconds: float = 1.0) -> list[Any]:
    return Crew(2, STEP).do(jobs, hands=2, seconds=seconds, deadline=deadline)


def lab_with(workers: int, audited: Target, deadline: float = FAR) -> Lab:
    return Lab(audited, BatchStore(audited, 0), seed=0, steps=12, deadline=deadline,
               crew=Crew(workers, STEP), step_seconds=STEP)


def runs_of(audited: Target, mended: list[Mended], workers: int) -> Runs:
    return lab_with(workers, audited).runs(mended, mended, 4)


def convolution() -> nn.Module:
    return nn.Sequential(nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 64, 2), nn.ReLU(), nn.Flatten(),
                         nn.Dropout(0.2), nn.Linear(128, 512), nn.ReLU(), nn.Linear(512, 3))


def failing(compute: Callable[[], None]) -> Mended:
    """Return a remedy whose version does something before every forward pass."""
    def change(mended: Target) -> Target:
        def also(model: nn.Module, batch: Any) -> Any:
            compute()
            return mended.compute(model, batch)
        return replace(mended, compute=also)
    return Mended(change)


def test_answers_come_in_the_order_of_the_jobs() -> None:
    def job(number: int) -> int:
        time.sleep(0.0 if number else 0.1)
        return number

    assert do(*(partial(job, number) for number in range(5))) == [0, 1, 2, 3, 4]


def test_a_long_answer_is_heard_whole() -> None:
    assert do(lambda: "x" * (1 << 20), lambda: list(range(100_000))) == [
        "x" * (1 << 20), list(range(100_000))]


def ask_for_every_end(*_: object) -> None:
    with suppress(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.mark.parametrize("handler", [signal.SIG_IGN, ask_for_every_end])
def test_a_handler_of_ends_of_children_does_no_harm(handler: Any) -> None:
    before = signal.signal(signal.SIGCHLD, handler)
    try:
        one, lost, two = do(lambda: 1, lambda: os._exit(3), lambda: 2)
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert (one, two) == (1, 2) and isinstance(lost, Lost)


@pytest.mark.parametrize("threads", [1, 2])
def test_runs_are_bit_equal_for_any_number_of_workers(threads: int) -> None:
    audited = target(convolution, *blobs(), optimizer=torch.optim.Adam, lr=1e-2)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        # The pool of threads is there before the copies are made.
        for _ in range(2):
            nn.Linear(512, 512)(torch.ones(512, 512)).sum().backward()
        one, two, three = (runs_of(audited, [at_rate(0.01)], workers) for workers in (1, 2, 3))

        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert len(one.curves) == 4 and len({tuple(curve) for curve in one.curves}) == 4
    assert one == two == three


def test_copies_are_used_where_there_are_cores() -> None:
    parent, audited = os.getpid(), crawling()
    worked = worktime.seconds()

    def compute(model: nn.Module, batch: Any) -> Any:
        assert os.getpid() != parent
        return audited.compute(model, batch)

    assert not runs_of(replace(audited, compute=compute), [], 2).problem
    assert worktime.seconds() > worked


def test_a_tryout_says_the_same_for_any_number_of_workers() -> None:
    fixes = (Fix("a", remedy="useless"), Fix("b", remedy="good"))
    report = judged(found("lr-too-low", *fixes), found("underfitting", Fix("c", remedy="good")))

    one, two = (tried(report, crawling(), workers=workers, step_seconds=STEP)
                for workers in (1, 2))

    assert one.findings[0].fixes[0].trial.status == "helps"
    assert one.to_json() == two.to_json()


def test_a_failure_has_the_same_words_in_a_copy() -> None:
    def fail() -> None:
        raise ValueError("no such thing")

    one, two = (runs_of(crawling(), [failing(fail)], workers) for workers in (1, 2))

    assert "ValueError: no such thing" in one.problem
    assert one == two


@pytest.mark.parametrize(("end", "says"), [
    (lambda: os._exit(3), "it ended the process itself (exit code 3)"),
    (lambda: os.kill(os.getpid(), signal.SIGSEGV), "its process crashed (SIGSEGV)"),
])
def test_a_version_that_crashes_does_not_run(end: Callable[[], None], says: str) -> None:
    assert runs_of(crawling(), [failing(end)], 2).problem == says


@pytest.mark.parametrize("end", [
    lambda: os._exit(3), lambda: os.kill(os.getpid(), signal.SIGKILL), lambda: os.closerange(3, 99),
])
def test_what_only_a_copy_does_not_bear_is_done_here(end: Callable[[], None]) -> None:
    parent, audited = os.getpid(), crawling()

    def compute(model: nn.Module, batch: Any) -> Any:
        if os.getpid() != parent:
            end()
        return audited.compute(model, batch)

    assert runs_of(replace(audited, compute=compute), [], 2) == runs_of(audited, [], 1)


def test_a_copy_that_hangs_is_ended() -> None:
    crew = Crew(2, STEP)
    begin = time.monotonic()

    lost = crew.do([lambda: time.sleep(1000), lambda: 1, lambda: time.sleep(1000)], hands=2,
                   seconds=1.0, deadline=begin - crew_module._END_SECONDS + 0.5)

    assert time.monotonic() - begin < 5.0
    assert lost == [Lost(), 1, Lost()]
    assert crew.hands(1e9) == 1


def test_where_there_is_no_room_for_processes_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse() -> int:
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(os, "fork", refuse)

    assert runs_of(crawling(), [], 2) == runs_of(crawling(), [], 1)


def test_runs_end_at_the_deadline() -> None:
    lab = lab_with(2, crawling(), deadline=time.monotonic() - 1.0)

    lab.ahead([([], [])])
    with pytest.raises(OutOfTime):
        lab.runs([], [])


def test_what_a_copy_reads_is_noted_and_its_fork_is_not(tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    data.write_text("1")

    with listening() as opened:
        do(data.read_text, data.read_text)
        assert opened.paths == {str(data)} and not opened.elsewhere
        do(os.fork)
        assert opened.elsewhere


def test_a_process_that_must_not_be_copied_is_not() -> None:
    assert Crew(2, STEP).hands(10.0) == 2
    assert Crew(1, STEP).hands(10.0) == 1
    assert Crew(2, 0.0).hands(10.0) == 1
    end = threading.Event()
    other = threading.Thread(target=end.wait)
    other.start()
    try:
        assert Crew(2, STEP).hands(10.0) == 1
    finally:
        end.set()
        other.join()


def test_workers_need_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew_module, "peak_bytes", lambda: 100)
    for free, hands in ((1000, 4), (250, 2), (50, 1)):
        monkeypatch.setattr(crew_module, "free_bytes", lambda free=free: free)

        assert Crew(4, STEP).hands(10.0) == hands


# The alarm: what goes wrong in it fails the test instead of keeping it waiting.
PROGRAM = """
import os, signal, subprocess, sys, time
from auditor.crew import Crew
signal.alarm(120)
def hang():
    subprocess.Popen(["sleep", "1000"])
    print("hangs", flush=True)
    time.sleep(1000)
try:
    Crew(2, 0.01).do([hang] * 4, hands=2, seconds=1e6, deadline=float("inf"))
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_an_interrupted_audit(number: signal.Signals) -> None:
    program = PROGRAM if number != signal.SIGTERM else (
        "import signal\nsignal.signal(signal.SIGTERM, signal.default_int_handler)\n" + PROGRAM)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE,
                          text=True) as started:
        assert started.stdout is not None
        for _ in range(2):
            assert started.stdout.readline() == "hangs\n"
        copies = children_of(started.pid)
        below = [child for copy in copies for child in children_of(copy)]
        started.send_signal(number)
        code = started.wait(10)

    assert len(copies) == len(below) == 2
    if number == signal.SIGKILL:
        # What a copy has started is its own business then, as it is with the audit's process.
        for child in below:
            os.kill(child, signal.SIGKILL)
    else:
        assert code == 0
    until = time.monotonic() + 5.0
    while any(is_running(process) for process in (*copies, *below)):
        assert time.monotonic() < until
        time.sleep(0.02)


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_number_can_be_set(tmp_path: Path) -> None:
    (tmp_path / "audit.yaml").write_text("workers: 3\n")

    told = subprocess.run([sys.executable, "-m", "auditor", "config", "."], cwd=tmp_path,
                          capture_output=True, text=True, check=True).stdout

    assert [line.split()[1:] for line in told.splitlines() if line.startswith("workers")] == [
        ["3", "audit.yaml:1"]]
