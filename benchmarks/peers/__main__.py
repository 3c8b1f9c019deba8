"""`python -m benchmarks.peers`: runs other tools on the members of the accuracy benchmark.

First `python -m benchmarks.peers --setup FOLDER`, once; then `--environment FOLDER`.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from queue import SimpleQueue

from benchmarks.accuracy import kept
from benchmarks.accuracy.gather import gather
from benchmarks.accuracy.runner import Member

from .score import Answer, ours, table

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PEERS = ("torchtest2==0.1.0", "torch-audit==0.3.0", "torchmortem==0.1.1",
         "training-doctor==0.1.0", "torchdiag==0.1.0")
# What a worker puts after its last answer.
_END = ""


def main() -> None:
    """Set the environment up, or run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--setup", type=Path, help="make the peers' environment in this folder")
    parser.add_argument("--environment", type=Path, help="the folder that --setup made")
    parser.add_argument("--only", default="", help="members whose name holds one of "
                        "these texts, separated by commas")
    parser.add_argument("--per-rule", type=int, default=0, help="faulty members of each rule")
    parser.add_argument("--seconds", type=int, default=300, help="for one tool on one member")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1,
                        help="members at the same time")
    parser.add_argument("--write", action="store_true", help="keep the table in results.md")
    parser.add_argument("--results", type=Path,
                        default=Path(tempfile.gettempdir()) / "auditor-peers")
    options = parser.parse_args()
    if options.setup:
        set_up(options.setup)
        return
    texts = options.only.split(",")
    members = [m for m in gather(options.results / "members")
               if any(text in m.name for text in texts)]
    members = few(members, options.per_rule) if options.per_rule else members
    answers = list(answered(members, options))
    text = "\n".join([
        f"{datetime.date.today()}, torch {version('torch')}, Python {platform.python_version()}, "
        f"CPU ({os.cpu_count()} cores); {', '.join(PEERS)}."
        + (f" Only members with {' or '.join(texts)} in their name." if options.only else "")
        + (f" {options.per_rule} of each rule's faulty members, and one healthy member of each "
           "kind." if options.per_rule else ""), "",
        table(members, answers), ours(members, kept.read())])
    print("\n" + text)
    if options.write:
        (HERE / "results.md").write_text(text + "\n", encoding="utf-8")


def set_up(folder: Path) -> None:
    """Make an environment with the peers that borrows torch and all else from this one."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    script = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own = subprocess.run([python, "-c", script], capture_output=True, text=True, check=True)
    lent = [path for path in sys.path if path.endswith("site-packages")]
    (Path(own.stdout.strip()) / "lent.pth").write_text("\n".join(lent), encoding="utf-8")
    # Without their dependencies: torch and numpy are lent, plotly draws pages that nobody reads.
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", *PEERS], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "plotly"], check=True)


def few(members: Sequence[Member], most: int) -> list[Member]:
    """Return one healthy member of each kind and the first faulty ones of each rule.

    Healthy twins of classical cases are of a few kinds only, and left out.
    """
    seen: dict[str, int] = {}
    chosen = []
    for member in members:
        rule = member.roots[0] if member.roots else ""
        seen[rule] = seen.get(rule, 0) + 1
        is_twin = member.healthy and member.name.startswith("case-")
        if (member.healthy or seen[rule] <= most) and not is_twin:
            chosen.append(member)
    return chosen


def answered(members: Sequence[Member], options: argparse.Namespace) -> Iterable[Answer]:
    """Yield the answers for all members; those that are known from an earlier run are kept."""
    file = options.results / "answers.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    wanted = {member.name: member for member in members}
    known = [Answer(**json.loads(line)) for line in file.read_text("utf-8").splitlines()] \
        if file.exists() else []
    yield from (answer for answer in known if answer.member in wanted)
    done = {answer.member for answer in known}
    asked = [f"{m.name}\t{m.path}\n" for m in members if m.name not in done]
    if not asked:
        return
    if not options.environment:
        raise SystemExit("Members are left to run: name the peers' folder with --environment.")
    with file.open("a", encoding="utf-8") as keep:
        for line in _watched(asked, options):
            keep.write(line)
            keep.flush()
            answer = Answer(**json.loads(line))
            print(f"{answer.member} {answer.tool} {answer.problem or answer.kinds}", flush=True)
            yield answer


def _watched(asked: Sequence[str], options: argparse.Namespace) -> Iterable[str]:
    """Yield what the peers answer; each worker is a process that has a part of the members."""
    answers: SimpleQueue[str] = SimpleQueue()
    with ThreadPoolExecutor(options.workers) as pool:
        parts = [pool.submit(_watch, asked[first::options.workers], options, answers)
                 for first in range(options.workers)]
        for _ in parts:
            yield from iter(answers.get, _END)
        for part in parts:
            part.result()


def _watch(
    asked: Sequence[str], options: argparse.Namespace, answers: SimpleQueue[str],
) -> None:
    """Put the lines that one process answers with, and `_END` after the last one."""
    command = [options.environment / "bin" / "python", "-m", "benchmarks.peers.watch",
               str(options.seconds)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    try:
        with tempfile.TemporaryFile("w+") as lines:
            lines.writelines(asked)
            lines.seek(0)
            with subprocess.Popen(command, stdin=lines, stdout=subprocess.PIPE, text=True,
                                  env=environment, cwd=ROOT) as process:
                assert process.stdout is not None
                for line in process.stdout:
                    answers.put(line)
            if process.returncode:
                raise SystemExit(f"a worker of the peers ended with {process.returncode}")
    finally:
        answers.put(_END)


if __name__ == "__main__":
    main()
