"""Audits members of the zoo in processes of their own and keeps each result."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Member:
    """One set-up of the zoo and what an audit must say of it.

    Attributes:
        name: Unique in the zoo.
        path: The user's file.
        roots: Rules that must be findings without causes; empty for healthy members.
        also: Rules that may be roots too.
        parent: The healthy member that it was made from.
    """

    name: str
    path: Path
    roots: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    parent: str = ""

    @property
    def healthy(self) -> bool:
        """Whether no error and no warning may be raised."""
        return not self.roots


@dataclass(frozen=True)
class Result:
    """What one audit said.

    Attributes:
        member: Its name.
        seed: Of the audit.
        found: Rule -> "severity/confidence", for all findings.
        roots: Rules without causes.
        not_measured: Rules that could not be judged.
        seconds: Wall time of the whole process.
        problem: Why there is no report; empty if there is one.
    """

    member: str
    seed: int
    found: dict[str, str]
    roots: list[str]
    not_measured: list[str]
    seconds: float
    problem: str = ""


def audit_member(member: Member, seed: int, budget: float, folder: Path) -> Result:
    """Audit one member in a fresh process, and keep report and result in the folder."""
    saved = folder / f"{member.name}.{seed}.report.json"
    command = [sys.executable, "-m", "auditor", "run", str(member.path), "--quiet",
               "--save", str(saved), "--seed", str(seed), "--budget", f"{budget:g}s",
               "--fail-on", "never"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "AUDITOR_PLUGINS": "none"}
    saved.unlink(missing_ok=True)
    begin = time.perf_counter()
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment,
                              timeout=6 * budget + 60)
        problem = "" if done.returncode == 0 else done.stderr.strip()[-2000:]
    except subprocess.TimeoutExpired:
        problem = "the audit did not end"
    seconds = time.perf_counter() - begin
    result = _read(member, seed, saved, seconds, problem)
    (folder / f"{member.name}.{seed}.json").write_text(json.dumps(asdict(result)))
    return result


def audit_all(
    members: Iterable[Member], seeds: Iterable[int], *, budget: float, folder: Path,
    workers: int, again: bool,
) -> Iterator[Result]:
    """Yield the result of every member and seed, kept ones first.

    Args:
        members: To audit.
        seeds: Of the audits.
        budget: Seconds of probes for each.
        folder: Where results are kept.
        workers: Audits at the same time.
        again: Audit also what has a result already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    waiting = []
    for seed in seeds:
        for member in members:
            kept = folder / f"{member.name}.{seed}.json"
            if kept.exists() and not again:
                yield Result(**json.loads(kept.read_text()))
            else:
                waiting.append((member, seed))
    with ThreadPoolExecutor(workers) as pool:
        running = [pool.submit(audit_member, member, seed, budget, folder)
                   for member, seed in waiting]
        for finished in as_completed(running):
            yield finished.result()


def _read(member: Member, seed: int, saved: Path, seconds: float, problem: str) -> Result:
    if problem or not saved.exists():
        return Result(member.name, seed, {}, [], [], seconds, problem or "there is no report")
    report = json.loads(saved.read_text())
    found = {f["rule"]: f"{f['severity']}/{f['confidence']}" for f in report["findings"]}
    roots = [f["rule"] for f in report["findings"] if not f["causes"]]
    unseen = [rule for rule, v in report["verdicts"].items() if v["verdict"] == "not-measured"]
    return Result(member.name, seed, found, roots, unseen, seconds)
