"""The rules of the house, executed."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
WINGS = ("probes", "rules", "reports")
ABOVE = "<above its wing>"
LONGEST = 350

checkout_only = pytest.mark.skipif(
    not (ROOT / "auditor").is_dir(), reason="looks at the sources, which an installed wheel has not"
)


def imported(path: Path) -> set[str]:
    """Return the dotted names that a file imports; `from x import y` gives `x` and `x.y`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level > 1:
            names.add(ABOVE)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def sources() -> Iterator[Path]:
    for folder in ("auditor", *WINGS):
        yield from (ROOT / folder).rglob("*.py")


@checkout_only
@pytest.mark.parametrize("folder", ["auditor", *WINGS])
def test_wings_are_reached_only_through_the_registry(folder: str) -> None:
    forbidden = tuple(f"{name}." for wing in WINGS for name in (wing, f"auditor.{wing}"))
    for path in (ROOT / folder).rglob("*.py"):
        bad = sorted(name for name in imported(path)
                     if f"{name}.".startswith((*forbidden, ABOVE)))

        assert not bad, f"{path.relative_to(ROOT)} imports {bad}"


@checkout_only
def test_every_folder_of_a_wing_is_packaged() -> None:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = set(packages["tool"]["setuptools"]["packages"])
    folders = {
        f"auditor.{folder.relative_to(ROOT)}".replace("/", ".")
        for wing in WINGS for folder in (ROOT / wing, *(ROOT / wing).rglob("*"))
        if folder.is_dir() and folder.name != "__pycache__"
    }

    assert folders <= listed


@checkout_only
def test_no_file_grows_past_one_reading() -> None:
    long = {str(path.relative_to(ROOT)): lines for path in sources()
            if (lines := len(path.read_text(encoding="utf-8").splitlines())) > LONGEST}

    assert not long


SAVED = str(Path(__file__).parent / "reports" / "golden" / "failing.json")


@pytest.mark.parametrize("arguments", [
    ["--help"], ["rules"], ["explain", "dying-relu"], ["config"], ["config", "--schema"],
    ["compare", SAVED, SAVED],
])
def test_a_command_that_measures_nothing_starts_without_torch(arguments: list[str]) -> None:
    program = (
        "import sys\n"
        "from auditor.cli import main\n"
        "try:\n"
        f"    main({arguments!r})\n"
        "except SystemExit as end:\n"
        "    assert not end.code, end.code\n"
        "heavy = {'torch', 'scipy', 'numpy', 'transformers'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert result.returncode == 0, result.stderr
