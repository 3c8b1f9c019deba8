"""Where reports go: files that are replaced at once, and standard output."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from auditor.errors import UsageError, nearest
from auditor.report import Renderer, Report

TERMINAL = "terminal"


def renderer_for(
    path: Path, renderers: Mapping[str, Renderer], format_name: str | None = None,
) -> Renderer:
    """Return the renderer that a file's suffix, or a format's name, chooses.

    Raises:
        UsageError: Nobody writes this format.
    """
    if format_name:
        return named_renderer(format_name, renderers)
    # `report.sarif.json` is more than a JSON file: the longest ending wins.
    fits = {suffix: renderer for renderer in renderers.values() for suffix in renderer.suffixes
            if path.name.endswith(suffix)}
    if fits:
        return fits[max(fits, key=len)]
    known = ", ".join(sorted(s for r in renderers.values() for s in r.suffixes))
    raise UsageError(
        f"No format belongs to the name {path.name}; known endings: {known}.",
        hint="Choose one with --format NAME.",
    )


def named_renderer(name: str, renderers: Mapping[str, Renderer]) -> Renderer:
    """Return the renderer of a name.

    Raises:
        UsageError: There is none.
    """
    if name not in renderers:
        raise UsageError(
            f"There is no format '{name}'{nearest(name, renderers)}",
            hint=f"Formats: {', '.join(sorted(renderers))}.",
        )
    return renderers[name]


def plan_outputs(
    outputs: Sequence[str], format_name: str | None, renderers: Mapping[str, Renderer],
) -> tuple[list[tuple[Path, Renderer]], Renderer]:
    """Return the files to write with their renderers, and the renderer for standard output.

    `--format` names the last file's format if there are files, else that of standard output.
    Called before anything is measured, so that a wrong name costs nothing.

    Raises:
        UsageError: A format is unknown, or a folder does not exist.
    """
    files = [Path(output) for output in outputs]
    for path in files:
        if not path.absolute().parent.is_dir():
            raise UsageError(f"The folder of {path} does not exist.")
    chosen = [
        (path, renderer_for(path, renderers, format_name if path is files[-1] else None))
        for path in files
    ]
    screen = TERMINAL if files or not format_name else format_name
    return chosen, named_renderer(screen, renderers)


def write_file(path: Path, text: str) -> None:
    """Replace a file at once: a reader sees the old text or the new one, never a part.

    Raises:
        UsageError: The system does not let us.
    """
    try:
        handle, temporary = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name}.")
        try:
            with open(handle, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
    except OSError as problem:
        raise UsageError(f"{path} cannot be written: {problem.strerror}.") from problem


def write_screen(report: Report, renderer: Renderer, *, verbose: bool) -> None:
    """Print the report on standard output, in colour only where a terminal shows it."""
    if renderer.name != TERMINAL or not hasattr(renderer, "write"):
        sys.stdout.write(renderer.render(report))
        return
    from rich.console import Console

    renderer.write(report, Console(markup=False, highlight=False, emoji=False), verbose)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
