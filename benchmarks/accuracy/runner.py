"""Audits members of the zoo in processes of their own and keeps each result."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
import traceback
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

# Imported once, in the process that every audit is forked from.
_IMPORTED = ["benchmarks.accuracy.warm"]


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
        seconds: Wall time of the audit, with the loading of the target; without torch's import.
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
    trouble = folder / f"{member.name}.{seed}.trouble"
    for file in (saved, trouble):
        file.unlink(missing_ok=True)
    process = _forks().Process(target=_audit, args=(member.path, seed, budget, saved, trouble))
    begin = time.perf_counter()
    process.start()
    process.join(6 * budget + 60)
    seconds = time.perf_counter() - begin
    problem = trouble.read_text()[-2000:] if trouble.exists() else ""
    if process.is_alive():
        process.kill()
        process.join()
        problem = "the audit did not end"
    elif process.exitcode:
        problem = problem or f"the process ended with {process.exitcode}"
    result = _read(member, seed, saved, seconds, problem)
    (folder / f"{member.name}.{seed}.json").write_text(json.dumps(asdict(result)))
    return result


def _forks() -> multiprocessing.context.ForkServerContext:
    os.environ.update(OMP_NUM_THREADS="1", AUDITOR_PLUGINS="none")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_IMPORTED)
    return context


def _audit(path: Path, seed: int, budget: float, saved: Path, trouble: Path) -> None:
    """Audit a file in this process, and save the report or what went wrong."""
    from auditor.api import audit
    from auditor.errors import AuditorError

    with open(os.devnull, "w") as nowhere:
        for stream in (1, 2):
            os.dup2(nowhere.fileno(), stream)
    try:
        report = audit(str(path), seed=seed, budget_seconds=budget)
    except AuditorError as problem:
        trouble.write_text(str(problem))
        return
    except Exception:
        trouble.write_text(traceback.format_exc())
        return
    saved.write_text(json.dumps(report.to_json()))


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
    if waiting:
        # So that the imports are over before the first audit's time counts.
        first = _forks().Process(target=os.getpid)
        first.start()
        first.join()
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
