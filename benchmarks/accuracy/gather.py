"""Collects the members of the zoo: healthy files, classical cases, injected faults."""

from __future__ import annotations

from pathlib import Path

import yaml

from .faults import members
from .runner import Member

HERE = Path(__file__).parent
CASES = HERE.parents[1] / "tests" / "zoo"


def gather(folder: Path) -> list[Member]:
    """Return all members, names unique.

    Args:
        folder: Where faulty files are written to.
    """
    return [*healthy(), *cases(), *injected(folder)]


def healthy() -> list[Member]:
    """Return the healthy set-ups."""
    return [Member(f"healthy-{path.stem}", path)
            for path in sorted((HERE / "healthy").glob("[!_]*.py"))]


def cases() -> list[Member]:
    """Return the members of the classical cases."""
    found = []
    for file in sorted(CASES.glob("*/expect.yaml")):
        for entry in yaml.safe_load(file.read_text(encoding="utf-8"))["members"]:
            if not entry.get("healthy") and not entry.get("roots"):
                continue  # the audit may say one of several things; the tests of the zoo judge it
            found.append(Member(
                f"case-{file.parent.name}-{Path(entry['file']).stem}", file.parent / entry["file"],
                tuple(entry.get("roots", ())), tuple(entry.get("allowed", ())),
            ))
    return found


def injected(folder: Path) -> list[Member]:
    """Write the files with injected faults, and return them as members."""
    return [*members(folder)]
