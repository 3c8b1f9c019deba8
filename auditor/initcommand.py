"""What `audit init` does: reads a training script and writes three small files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from auditor.errors import UsageError
from auditor.output import write_file
from auditor.repository import repository_of
from auditor.script import read_script
from auditor.starter import Start, is_target, start
from auditor.startfiles import config_file, workflow_file
from auditor.survey import Survey, survey

TARGET, CONFIG, WORKFLOW = "audit_target.py", "audit.yaml", ".github/workflows/audit.yml"
# More files than these are no training folder; the first ones are read.
_MOST_FILES = 200
_PASSED, _INCOMPLETE = 0, 1


@dataclass(frozen=True)
class Written:
    """What `audit init` has done.

    Attributes:
        text: For the user.
        exit_code: 1 if model or training data were not found.
    """

    text: str
    exit_code: int


def init_command(path: Path, *, force: bool = False) -> Written:
    """Write a target file, a configuration and a workflow for a training script or folder.

    Raises:
        UsageError: There is no script, or a file would be overwritten.
    """
    seen = _best(path)
    script = seen.script.path
    folder = script.parent
    module = script.stem
    in_package = (folder / "__init__.py").is_file()
    begun = None if is_target(seen) else start(seen, f".{module}" if in_package else module)
    root = repository_of(folder)
    target = TARGET if begun else script.name
    files = {
        **({folder / TARGET: begun.text} if begun else {}),
        folder / CONFIG: config_file(target),
        root / WORKFLOW: workflow_file(
            folder.relative_to(root).as_posix(), _requirements(root, folder)),
    }
    present = [file for file in files if file.exists()]
    if present and not force:
        raise UsageError(f"{', '.join(map(str, present))} exists already.",
                         hint="--force overwrites.")
    for file, text in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_file(file, text)
    is_complete = begun is None or begun.is_complete
    return Written(_told(script, begun, list(files)), _PASSED if is_complete else _INCOMPLETE)


def _best(path: Path) -> Survey:
    """Return what was found in a script, or in the script of a folder that shows most."""
    if not path.exists():
        raise UsageError(f"There is no {path}.")
    found = [survey(read_script(file)) for file in _scripts(path)]
    if not found:
        raise UsageError(f"{path} holds no Python file.")
    best = max(found, key=lambda seen: (seen.score, -len(seen.script.path.parts)))
    if best.score == 0 and not best.module_class:
        raise UsageError(f"No model, data or optimizer was found in {path}.",
                         hint="Name the script that trains: audit init train.py")
    return best


def _scripts(path: Path) -> Iterator[Path]:
    path = path.resolve()
    if path.is_file():
        yield path
        return
    every = sorted(file for file in path.rglob("*.py")
                   if not any(part.startswith(".") or part in ("tests", "site-packages")
                              for part in file.relative_to(path).parts))
    yield from (file for file in every[:_MOST_FILES] if file.name != TARGET and _is_python(file))


def _is_python(file: Path) -> bool:
    """Tell whether a file of a folder can be read; what cannot is not the script."""
    try:
        read_script(file)
    except UsageError:
        return False
    return True


def _requirements(root: Path, folder: Path) -> str:
    """Return the nearest requirements file, seen from the root."""
    for place in (folder, *folder.parents):
        if (place / "requirements.txt").is_file():
            return (place / "requirements.txt").relative_to(root).as_posix()
        if place == root:
            break
    return ""


def _told(script: Path, begun: Start | None, files: list[Path]) -> str:
    names = list(map(_shown, files))
    wrote = [f"Wrote {name}" for name in names]
    if begun is None:
        return "\n".join([f"{script.name} can be audited as it is: its names are those that an "
                          "audit looks for.", "", *wrote, "", f"Now: audit run {_shown(script)}"])
    lines = [f"Read {script.name} without running it.", "",
             *(f"  found      {item}" for item in begun.found),
             *(f"  not found  {item}" for item in begun.missing), "", *wrote, ""]
    before = "" if begun.is_complete else f"Complete {names[0]} first. "
    return "\n".join([*lines, f"{before}Now: audit run {names[0]}"])


def _shown(file: Path) -> str:
    here = Path.cwd()
    return str(file.relative_to(here)) if file.is_relative_to(here) else str(file)
