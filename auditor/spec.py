"""What the user names: a file, a module, or one object in either."""

from __future__ import annotations

import difflib
import importlib.util
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from auditor.errors import TargetError
from auditor.visible import shortened

_ATTRIBUTE = re.compile(r"(?P<head>.+):(?P<attribute>[^\W\d]\w*(?:\.[^\W\d]\w*)*)\Z")
# Of a file, in the systems that we know; asking for a longer one is an error.
_LONGEST_NAME = 255
_MODULE = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*\Z")


@dataclass(frozen=True)
class Spec:
    """A user's file and how Python would import it.

    Attributes:
        given: As the user wrote it, without the attribute.
        file: The source file.
        module: Name under which it is imported; dotted inside a package.
        folders: What its imports need on `sys.path`, first one first.
        attribute: The one object that was asked for; empty when none was.
        is_package_member: It is imported by its dotted name, so that relative imports work.
    """

    given: str
    file: Path
    module: str
    folders: tuple[str, ...]
    attribute: str = ""
    is_package_member: bool = False


def parse_spec(text: str) -> Spec:
    """Return what `model.py`, `model.py:attr` or `package.module:attr` stands for.

    Raises:
        TargetError: There is no such file or module.
    """
    match = _ATTRIBUTE.match(text)
    head, attribute = (match["head"], match["attribute"]) if match else (text, "")
    path = Path(head).expanduser()
    if len(path.name) > _LONGEST_NAME:
        raise TargetError(f"There is no file {shortened(head, _LONGEST_NAME)}.")
    if path.is_dir():
        raise TargetError(
            f"{head} is a folder, not a Python file.",
            hint=_python_files_in(path),
        )
    if path.suffix == ".ipynb":
        raise TargetError(
            f"{head} is a notebook.",
            hint="Write its cells to a file first: jupyter nbconvert --to script " + head,
        )
    if path.is_file():
        return _of_file(head, path.resolve(), attribute)
    if path.suffix == ".py" or os.sep in head or not _MODULE.match(head):
        raise TargetError(f"There is no file {head}.", hint=_nearest_file(path))
    return _of_module(head, attribute)


def _of_file(given: str, file: Path, attribute: str) -> Spec:
    """Find the package that a file belongs to: the folders above it with an `__init__.py`."""
    parts = [] if file.name == "__init__.py" else [file.stem]
    root = file.parent
    while (root / "__init__.py").is_file() and root.name.isidentifier():
        parts.insert(0, root.name)
        root = root.parent
    in_package = len(parts) > 1 or file.name == "__init__.py"
    if in_package and all(part.isidentifier() for part in parts):
        folders = tuple(dict.fromkeys((str(file.parent), str(root))))
        return Spec(given, file, ".".join(parts), folders, attribute, is_package_member=True)
    return Spec(given, file, _free_name(file.stem), (str(file.parent),), attribute)


def _free_name(stem: str) -> str:
    """Return a name for `sys.modules` that no library has: the stem itself, if it is free."""
    name = re.sub(r"\W", "_", stem)
    if not name.isidentifier() or name != stem:
        return f"audited_{name}"
    return f"audited_{name}" if _is_taken(name) else name


def _is_taken(name: str) -> bool:
    if name in sys.stdlib_module_names or name in sys.modules:
        return True
    try:
        return importlib.util.find_spec(name) is not None
    except (ValueError, ImportError):
        return True


def _of_module(name: str, attribute: str) -> Spec:
    here = os.getcwd()
    before = list(sys.path)
    sys.path.insert(0, here)
    importlib.invalidate_caches()
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        found = None
    finally:
        sys.path[:] = before
    if found is None or not found.origin or not found.origin.endswith(".py"):
        raise TargetError(
            f"There is no file and no module {name}.",
            hint=_nearest_file(Path(f"{name}.py")),
        )
    file = Path(found.origin).resolve()
    return Spec(name, file, name, (here,), attribute, is_package_member=True)


def _nearest_file(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"There is no folder {folder} either."
    names = sorted(entry.name for entry in folder.glob("*.py"))
    near = difflib.get_close_matches(path.name, names, n=1)
    if near:
        return f"Did you mean {folder / near[0]}?"
    return _python_files_in(folder)


def _python_files_in(folder: Path, most: int = 8) -> str:
    names = sorted(entry.name for entry in folder.glob("*.py"))
    if not names:
        return f"{folder}{os.sep} holds no Python file."
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{folder}{os.sep} holds {', '.join(names[:most])}{more}."
