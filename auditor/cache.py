"""Measurements of an unchanged target, kept between runs. No torch in here.

An entry belongs to what was asked for (target, names, seed, device, budget, profile, rules, packs)
on these versions of everything installed. It holds the content of every file that was read while
the target was audited, sources and data; while all are the same, it is judged again instead of
measuring. A target that talked to other processes or to the network is not kept at all.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import os
import platform
import sysconfig
from collections.abc import Iterable, Mapping
from pathlib import Path

from auditor import registry
from auditor.errors import ObservationError, UsageError
from auditor.opened import Opened
from auditor.output import write_file
from auditor.report import Report
from auditor.request import Request

_log = logging.getLogger(__name__)

# Where entries lie, instead of the user's cache folder.
FOLDER_VARIABLE = "AUDITOR_CACHE"
_MOST_ENTRIES = 50
# A target that reads more files than this takes longer to compare than to audit.
_MOST_FILES = 5000
# Of a larger file only size and ends are compared.
_WHOLE_BYTES = 64 << 20
_END_BYTES = 1 << 20


def find(request: Request) -> Report | None:
    """Return the report of an earlier audit to which nothing has changed."""
    try:
        entry = json.loads(_path(request).read_bytes())
        same = all(content(Path(name)) == told for name, told in entry["files"].items())
        return Report.from_json(entry["report"]) if same else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ObservationError) as problem:
        # No entry, one of another version, or a file that is gone: it has to be measured.
        _log.info("nothing to reuse: %s", problem)
        return None


def keep(request: Request, report: Report, opened: Opened) -> None:
    """Keep a report for the next time, if files alone decide what it says."""
    # What was missed for want of time may be measured the next time.
    ended_early = report.environment.get("interrupted") or report.environment.get("stopped")
    is_whole = not report.missed and not ended_early
    if opened.elsewhere or not is_whole or len(opened.paths) > _MOST_FILES:
        return
    path = _path(request)
    try:
        files = {name: content(Path(name)) for name in sorted(opened.paths)}
        path.parent.mkdir(parents=True, exist_ok=True)
        entry = {"files": files, "report": report.to_json()}
        write_file(path, json.dumps(entry, allow_nan=False))
        _drop_oldest(path.parent)
    except (OSError, ValueError, UsageError) as problem:
        # A folder that cannot be written, a file that was there only for a moment.
        _log.info("the measurements are not kept: %s", problem)


def asked_for(request: Request) -> dict[str, object]:
    """Return by name all that decides what an audit measures, but for the files it reads."""
    settings = request.effective
    return {
        "folder": os.getcwd(), "target": request.target, "names": dict(settings.names),
        "seed": settings.seed, "device": settings.device, "budget": settings.budget_seconds,
        "profile": settings.profile, "trials": request.trials,
        "rules": sorted(rule.id for rule in request.rules),
        "packs": [content(pack) for pack in request.packs], "versions": _versions(),
    }


def key(asked: Mapping[str, object]) -> str:
    """Return a short name of what is asked for."""
    text = json.dumps(asked, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _path(request: Request) -> Path:
    return folder() / f"{key(asked_for(request))}.json"


def folder() -> Path:
    """Return where measurements are kept."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    if chosen:
        return Path(chosen)
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "auditor"


def _versions() -> list[str]:
    """Return what is installed, and the content of our own files."""
    folders = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    installed = {entry for folder in folders if os.path.isdir(folder)
                 for entry in os.listdir(folder) if entry.endswith(".dist-info")}
    return [platform.python_version(), platform.machine(), *sorted(installed), _own_content()]


def _own_content() -> str:
    """Return a hash of the core and of our wings, which change while developing."""
    groups = (registry.PROBES, registry.RULES, registry.REMEDIES)
    modules = {"auditor", *(plugin.module for group in groups
                            for plugin in registry.plugins(group) if plugin.is_ours)}
    found: set[Path] = set()
    for module in modules:
        spec = importlib.util.find_spec(module)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            found |= {path for path in Path(folder).iterdir() if path.suffix in (".py", ".yaml")}
    return _hash(path.read_bytes() for path in sorted(found))


def content(path: Path) -> str:
    """Return a hash of a file, or of the names in a folder; empty for what does not exist.

    Raises:
        OSError: It cannot be read.
    """
    if not path.exists():
        return ""
    if path.is_dir():
        return _hash(name.encode("utf-8", "surrogateescape") for name in sorted(os.listdir(path)))
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= _WHOLE_BYTES:
            return _hash([file.read()])
        begin = file.read(_END_BYTES)
        file.seek(-_END_BYTES, os.SEEK_END)
        return _hash([str(size).encode(), begin, file.read()])


def _hash(parts: Iterable[bytes]) -> str:
    sha = hashlib.sha256()
    for part in parts:
        sha.update(len(part).to_bytes(8, "little"))
        sha.update(part)
    return sha.hexdigest()


def _drop_oldest(folder: Path) -> None:
    entries = sorted(folder.glob("*.json"), key=lambda entry: entry.stat().st_mtime)
    for entry in entries[:-_MOST_ENTRIES]:
        entry.unlink(missing_ok=True)
