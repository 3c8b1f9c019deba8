"""Keeps on disk what an audit has measured while it runs, so that a later one can go on.

One folder for each audit that was asked for; it is gone when the audit has come to its end. It
holds the settings, the content of the files that were read, and one file for each observation,
each replaced at once. No torch in here.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from auditor import cache
from auditor.errors import UsageError
from auditor.journal import Observations
from auditor.observation import Observation
from auditor.output import write_file
from auditor.request import Request

_log = logging.getLogger(__name__)

_MOST_RUNS = 10
_ASKED, _FILES = "asked.json", "files.json"


class Kept:
    """What is on disk of one audit.

    Args:
        asked: The audit.

    Attributes:
        is_there: Something was kept, and could be written so far.
    """

    def __init__(self, asked: Request) -> None:
        self._asked = cache.asked_for(asked)
        self._folder = _runs() / cache.key(self._asked)
        self._files: dict[str, str] = {}
        self.is_there = False
        self._can_write = True

    def begin(self) -> None:
        """Make the folder anew."""
        self.end()
        self._write(_ASKED, self._asked)
        _drop_oldest(self._folder)

    def keep(self, seed: int, observation: Observation, opened: Iterable[str]) -> None:
        """Write one observation, and the content of files that were read for it."""
        new = sorted(set(opened) - self._files.keys())
        try:
            self._files |= {path: cache.content(Path(path)) for path in new}
        except OSError as problem:
            self._give_up(problem)
        if new:
            self._write(_FILES, self._files)
        self._write(f"{seed}-{observation.probe}.json", observation.to_json())
        self.is_there = self._can_write

    def end(self) -> None:
        """Take the folder away: the audit has come to its end."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self.is_there = False

    def read(self) -> tuple[Observations, str]:
        """Return what need not be measured again, and a sentence that says so, or why nothing."""
        if not self._folder.is_dir():
            return {}, f"Nothing was resumed: {_nearest(self._asked)}."
        try:
            files: dict[str, str] = _read(self._folder / _FILES)
            changed = [path for path, told in files.items() if cache.content(Path(path)) != told]
            if changed:
                return {}, f"Nothing was resumed: {changed[0]} has changed since."
            found = _observations(self._folder)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
            _log.info("nothing can be resumed: %s", problem)
            return {}, "Nothing was resumed: what is kept of the earlier run cannot be read."
        self._files = files
        self.is_there = True
        count = sum(map(len, found.values()))
        return found, f"{count} observations are those of an earlier run that ended early."

    def _write(self, name: str, content: Any) -> None:
        if not self._can_write:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_file(self._folder / name, json.dumps(content, allow_nan=False))
        except (OSError, ValueError, UsageError) as problem:
            self._give_up(problem)

    def _give_up(self, problem: Exception) -> None:
        """Go on without: it is in memory as well."""
        self._can_write = self.is_there = False
        _log.info("the observations are not kept on disk: %s", problem)


def _runs() -> Path:
    return cache.folder() / "runs"


def _read(path: Path) -> Any:
    return json.loads(path.read_bytes())


def _observations(folder: Path) -> Observations:
    """Return what was measured; what failed is worth another try."""
    found: dict[int, dict[str, Observation]] = {}
    for path in sorted(folder.glob("*-*.json")):
        seen = Observation.from_json(_read(path))
        if seen.status != "failed":
            found.setdefault(int(path.name.partition("-")[0]), {})[seen.probe] = seen
    return found


def _nearest(asked: Mapping[str, Any]) -> str:
    """Return what the run that is most like this one differs in."""
    best: list[str] = []
    for path in _runs().glob(f"*/{_ASKED}"):
        try:
            other: dict[str, Any] = _read(path)
        except (OSError, ValueError):
            continue
        differs = [name for name, value in asked.items() if other.get(name) != value]
        if not {"folder", "target"} & set(differs) and (not best or len(differs) < len(best)):
            best = differs
    if not best:
        return "no run of this target that ended early is kept"
    return f"the run that ended early had other settings ({', '.join(best)})"


def _drop_oldest(newest: Path) -> None:
    try:
        runs = sorted(_runs().iterdir(), key=os.path.getmtime)
    except OSError:
        # There is no such folder, or another audit clears it up.
        return
    for run in [run for run in runs if run != newest][:-_MOST_RUNS]:
        shutil.rmtree(run, ignore_errors=True)
