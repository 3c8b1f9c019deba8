"""Where a folder lies in its repository: services show files as seen from the root."""

from __future__ import annotations

from pathlib import Path


def repository_of(folder: Path) -> Path:
    """Return the root of the repository around a folder; the folder itself outside of any."""
    return next((place for place in (folder, *folder.parents) if (place / ".git").exists()), folder)


def folder_in_repository() -> str:
    """Return the working directory as seen from the root of its repository; empty at the root."""
    here = Path.cwd()
    inside = here.relative_to(repository_of(here)).as_posix()
    return "" if inside == "." else inside
