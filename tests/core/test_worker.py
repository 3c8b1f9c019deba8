"""The worker of `audit run`: whatever the target does, the report and the exit code come out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="workers need pipes and signals")

NET = """
import os, signal, sys, time
import torch
from torch import nn
torch.manual_seed(0)
COUNT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "count")
def is_time(number):
    with open(COUNT, "a") as file:
        file.write(".")
    return os.path.getsize(COUNT) == number
x = torch.randn(256, 6)
y = (x[:, 0] > 0).long()
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(6, 16)
        self.fc2 = nn.Linear(16, 2)
    def forward(self, x):
        self.before()
        return self.fc2(torch.relu(self.fc1(x)))
    def before(self):
        pass
build_model = Net
train_loader = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(x, y), batch_size=32, shuffle=True)
loss_fn = nn.CrossEntropyLoss()
def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)
"""
ARGUMENTS = ("run", "net.py", "--select", "data,wiring", "--no-cache", "--format", "json",
             "--budget", "180s")
MAIN = "from auditor.cli import main\nmain()"


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "AUDITOR_IN_PROCESS": "", "AUDITOR_CACHE": str(folder / "cache")}


def audit(
    folder: Path, body: str, *arguments: str, program: str = MAIN,
) -> subprocess.CompletedProcess[str]:
    (folder / "net.py").write_text(NET + body, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-c", program, *ARGUMENTS, *arguments], cwd=folder, text=True,
        env=environment(folder), capture_output=True, timeout=300)


def before_forward(line: str) -> str:
    return f"def before(self):\n    {line}\nNet.before = before\n"


def report_of(result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert "Traceback" not in result.stderr
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def measured(report: dict[str, Any]) -> set[str]:
    return {seen["probe"] for seen in report["observations"] if seen["status"] == "measured"}


def test_a_killed_target_leaves_a_report_and_a_later_run_goes_on_with_it(tmp_path: Path) -> None:
    body = before_forward("if is_time(14): os.kill(os.getpid(), signal.SIGKILL)")

    broken = audit(tmp_path, body)
    report = report_of(broken)
    assert broken.returncode == 3
    assert report["verdict"] == "incomplete"
    assert "was killed (SIGKILL" in report["environment"]["stopped"]
    assert "data" in measured(report)
    failed = [seen for seen in report["observations"] if seen["status"] == "failed"]
    assert len(failed) == 1 and f"during the probe {failed[0]['probe']}" in failed[0]["reason"]
    assert "--resume goes on from here" in " ".join(report["notes"])

    resumed = audit(tmp_path, body, "--resume")
    whole = report_of(resumed)
    assert resumed.returncode == 0, resumed.stderr
    assert measured(report) < measured(whole)
    assert "are those of an earlier run" in " ".join(whole["notes"])


def test_a_crash_in_the_first_step_is_told_with_its_line(tmp_path: Path) -> None:
    result = audit(tmp_path, before_forward("os.abort()"))

    report = report_of(result)
    assert result.returncode == 3
    assert "crashed (SIGABRT) at net.py:" in report["environment"]["stopped"]
    assert "`os.abort()`" in report["environment"]["stopped"]


def test_a_target_that_meddles_with_the_process_is_audited_all_the_same(tmp_path: Path) -> None:
    result = audit(tmp_path, """
import atexit, threading
print("{" * (3 << 20))
os.write(1, b"not json")
os.closerange(3, 1000)
signal.signal(signal.SIGALRM, signal.SIG_IGN)
atexit.register(time.sleep, 10000)
threading.Thread(target=time.sleep, args=(10000,)).start()
""" + before_forward("if is_time(14): os.fork()"))

    assert result.returncode == 0, result.stderr[-2000:]
    assert report_of(result)["verdict"] == "pass"
    assert "the rest is not shown" in result.stderr
    assert len(result.stderr) < 1_200_000


def test_a_target_that_hangs_in_spite_of_alarms_is_ended_with_its_line(tmp_path: Path) -> None:
    impatient = "import auditor.supervisor as s\ns._LATE_SECONDS, s._LATE_SHARE = 3.0, 0.0\n"
    body = before_forward("while is_time(14) or os.path.getsize(COUNT) >= 14: time.sleep(0.5)")
    held = "signal.signal(signal.SIGALRM, lambda *_: None)\nsignal.signal = lambda *_: None\n"

    result = audit(tmp_path, held + body, "--budget", "12s", program=impatient + MAIN)

    report = report_of(result)
    assert result.returncode == 3
    assert "the target hung at net.py:" in report["environment"]["stopped"]
    assert "data" in measured(report)


def test_a_worker_of_a_fresh_interpreter_does_the_same(tmp_path: Path) -> None:
    threads = ("import threading\n"
               "threading.Thread(target=threading.Event().wait, daemon=True).start()\n")

    result = audit(tmp_path, "", program=threads + MAIN)

    assert result.returncode == 0, result.stderr
    assert report_of(result)["target"]["model"] == "Net"


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_the_worker_ends_with_its_parent(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET + "time.sleep(100)\n", encoding="utf-8")
    running = subprocess.Popen(
        [sys.executable, "-c", MAIN, *ARGUMENTS], cwd=tmp_path, env=environment(tmp_path),
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert running.stderr is not None
    assert running.stderr.readline().startswith("loading")
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    running.send_signal(signal.SIGKILL)
    running.wait()

    assert len(children) == 1
    until = time.monotonic() + 20
    while Path(f"/proc/{children[0]}/cmdline").exists() and time.monotonic() < until:
        time.sleep(0.1)
    assert not Path(f"/proc/{children[0]}/cmdline").exists()
