"""What a run leaves behind in GitHub Actions, besides its exit code.

There the report at the end of the log is followed by annotations, which GitHub shows at their
lines, and appended as Markdown to the summary of the job. With `--format` standard output holds
that format and nothing else.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from auditor.errors import UsageError
from auditor.report import Renderer, Report

# GitHub drops a summary of more than 1 MiB as a whole.
_LONGEST_SUMMARY = 900_000


def in_github_actions() -> bool:
    """Tell whether the process runs in a workflow of GitHub."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def append_summary(report: Report, renderers: Mapping[str, Renderer]) -> None:
    """Append the report to the summary of the job, if there is one.

    Raises:
        UsageError: The file cannot be written.
    """
    name = os.environ.get("GITHUB_STEP_SUMMARY")
    if not name or "markdown" not in renderers:
        return
    path = Path(name)
    try:
        there = path.stat().st_size if path.exists() else 0
        text = shortened(renderers["markdown"].render(report), _LONGEST_SUMMARY - there)
        with path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as problem:
        raise UsageError(f"The summary {name} cannot be written: {problem.strerror}.") from problem


def shortened(text: str, most: int) -> str:
    """Return Markdown of at most `most` bytes, cut between blocks, and say what is left out."""
    if len(text.encode()) <= most:
        return text
    blocks = text.split("\n\n")
    room = most - len(_left_out(len(blocks)).encode())
    kept: list[str] = []
    size, best = 0, 0
    depth = 0
    for block in blocks:
        size += len(block.encode()) + 2
        if size > room:
            break
        kept.append(block)
        depth += block.count("<details>") - block.count("</details>")
        best = len(kept) if depth <= 0 else best
    return "\n\n".join([*kept[:best], _left_out(len(blocks) - best)])


@contextmanager
def no_commands() -> Iterator[None]:
    """Keep the runner from reading what is printed inside as commands."""
    token = secrets.token_hex(16)
    print(f"::stop-commands::{token}", flush=True)
    try:
        yield
    finally:
        sys.stdout.flush()
        print(f"::{token}::", flush=True)


def _left_out(blocks: int) -> str:
    return (f"**This summary is cut: {blocks} of its paragraphs are left out, for GitHub shows no "
            "longer one.** The whole report is in the files that `audit run -o` writes.\n")
