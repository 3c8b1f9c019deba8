"""Audits the file of one fault, and compares what comes out with what is promised."""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.faults.case import Case
from benchmarks.faults.cases import SLOWLY

# Nothing may take longer: the target may load for two minutes, and hang as long.
_LONGEST = 400.0
_ARGUMENTS = ("run", "net.py", "--select", "data,wiring", "--no-cache", "--format", "json")
_STAGES = ("loading", "first steps", *(f"[{number}/" for number in range(1, 9)))


@dataclass(frozen=True)
class Row:
    """What came out.

    Attributes:
        name: Of the fault.
        code: Exit code; -1 when the audit hung itself.
        seconds: Wall time.
        kept: Observations that were measured, in the report; None without one.
        told: What the user is told.
        wrong: What is not as promised; empty when all is.
    """

    name: str
    code: int
    seconds: float
    kept: int | None
    told: str
    wrong: str

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)


def run(case: Case, budget: float) -> Row:
    """Audit one fault."""
    with tempfile.TemporaryDirectory(prefix="auditor-fault-") as folder:
        (Path(folder) / "net.py").write_text(case.source, encoding="utf-8")
        begin = time.monotonic()
        code, output, errors = _audited(case, Path(folder), budget)
        seconds = time.monotonic() - begin
    kept, told, wrong = _looked_at(case, code, output, errors)
    return Row(case.name, code, round(seconds, 1), kept, told, wrong)


@dataclass(frozen=True)
class Moment:
    """When a worker is killed.

    Attributes:
        stage: The line of progress that comes before.
        delay: After it, in seconds.
    """

    stage: str
    delay: float


def kill_at(moment: Moment, budget: float) -> Row:
    """Kill the worker at a moment, wherever it is then."""
    case = Case(f"kill -9 of the worker {moment.delay:.2f} s after '{moment.stage}'",
                SLOWLY, 3, "", 0, signal=-signal.SIGKILL, after=moment.stage, delay=moment.delay)
    row = run(case, budget)
    if row.code == 0 and row.wrong == "exit code 0, not 3":
        return replace(row, told="it was done before", wrong="")
    return row


def moments(count: int, longest: float, seed: int = 0) -> list[Moment]:
    """Return random moments of an audit."""
    chooser = random.Random(seed)
    return [Moment(chooser.choice(_STAGES), chooser.uniform(0.0, longest)) for _ in range(count)]


def _audited(case: Case, folder: Path, budget: float) -> tuple[int, str, str]:
    program = [sys.executable, "-m", "auditor", *_ARGUMENTS, "--budget", f"{budget}s",
               *case.arguments]
    outside = "/dev/full" in case.shell
    command = f"{'' if outside else case.shell}exec {shlex.join(program)}"
    if outside:
        command += f" {case.shell}"
    environment = {**os.environ, "AUDITOR_CACHE": str(folder / "cache"),
                   "AUDITOR_PLUGINS": "none"}
    environment.pop("AUDITOR_IN_PROCESS", None)
    running = subprocess.Popen(
        ["bash", "-c", command], cwd=folder, env=environment, text=True, errors="replace",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        # A benchmark that runs in the background has the interrupt ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    errors: list[str] = []
    reader = threading.Thread(target=_read, args=(running, case, errors), daemon=True)
    reader.start()
    stop = threading.Timer(_LONGEST, running.kill)
    stop.start()
    assert running.stdout is not None
    output = running.stdout.read()
    code = running.wait()
    stop.cancel()
    reader.join(5.0)
    return code, output, "".join(errors)


def _read(running: subprocess.Popen[str], case: Case, errors: list[str]) -> None:
    """Read what the audit says, and send the signal when it is time."""
    sent = False
    assert running.stderr is not None
    for line in running.stderr:
        errors.append(line[:2000])
        if case.signal and not sent and line.startswith(case.after):
            sent = True
            threading.Timer(case.delay, _send, args=(running, case)).start()


def _send(running: subprocess.Popen[str], case: Case) -> None:
    if case.signal > 0:
        os.kill(running.pid, case.signal)
        return
    # The worker is the child of the audit; before it is there, nothing can be lost.
    until = time.monotonic() + 20.0
    while running.poll() is None and time.monotonic() < until:
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
        try:
            for child in children.read_text().split():
                os.kill(int(child), -case.signal)
                return
        except OSError:
            return
        time.sleep(0.02)


def _looked_at(case: Case, code: int, output: str, errors: str) -> tuple[int | None, str, str]:
    """Return the observations kept, what is told, and what is wrong."""
    wrong = [] if code == case.code else [f"exit code {code}, not {case.code}"]
    report: dict[str, Any] = {}
    if output.strip() and case.keeps is not None:
        try:
            report = json.loads(output)
        except ValueError:
            wrong.append("standard output is no JSON")
    elif case.keeps is not None:
        wrong.append("no report")
    kept = None
    if report:
        kept = sum(seen["status"] == "measured" for seen in report["observations"])
        if kept < (case.keeps or 0):
            wrong.append(f"only {kept} observations of {case.keeps}")
    told = _told(case, report, errors)
    if case.says and not told:
        wrong.append(f"nobody says: {case.says}")
    for seen in report.get("observations", ()):
        # Kept for --debug, and shown by no renderer.
        seen["traceback"] = ""
    if "Traceback" in errors or "Traceback" in (json.dumps(report) if report else output):
        wrong.append("a traceback")
    return kept, told, "; ".join(wrong)


def _told(case: Case, report: dict[str, Any], errors: str) -> str:
    """Return the sentence that names the fault: of the report, else of standard error."""
    observations = report.get("observations", ())
    sentences = [
        *report.get("notes", ()), *(seen["reason"] for seen in observations),
        *(reason for seen in observations for reason in seen["missed"].values()),
        *(found["reason"] for found in report.get("verdicts", {}).values()),
        *errors.splitlines()]
    told = next((sentence for sentence in sentences
                 if case.says and case.says in " ".join(sentence.split())), "")
    # A program that prints without line ends has our sentence at the end of its line.
    return told.split("\n")[0].lstrip("x")
