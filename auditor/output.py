"""Where reports go: files that are replaced at once, and standard output."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from auditor.errors import UsageError, nearest
from auditor.report import Renderer, Report

TERMINAL = "terminal"
# Stands in every picture, so that nothing but our own pictures is ever replaced or removed.
_MARK = "<!-- belongs to an audit report and is replaced or removed with it -->"


@runtime_checkable
class Illustrated(Protocol):
    """A renderer whose file has pictures beside it."""

    def render_with_pictures(
        self, report: Report, folder: str,
    ) -> tuple[str, Mapping[str, str]]:
        """Return the text, which speaks of `folder/NAME`, and an SVG text for each NAME."""
        ...


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
        if str(path) == "-":
            raise UsageError("--output takes a file.", hint="--format NAME writes to stdout.")
        check_place(path)
    chosen = [
        (path, renderer_for(path, renderers, format_name if path is files[-1] else None))
        for path in files
    ]
    screen = TERMINAL if files or not format_name else format_name
    return chosen, named_renderer(screen, renderers)


def check_place(path: Path) -> None:
    """Check that a file can be written at a place, and that it is no program of the user's.

    Raises:
        UsageError: Its folder does not exist, it is a folder, or it is Python source.
    """
    if not path.absolute().parent.is_dir():
        raise UsageError(f"The folder of {path} does not exist.")
    if path.is_dir():
        raise UsageError(f"{path} is a folder.")
    if path.suffix == ".py":
        raise UsageError(f"{path} has the name of a Python file, and would be replaced.",
                         hint="Choose another name for the output.")


def write_report(path: Path, renderer: Renderer, report: Report) -> None:
    """Write a report, and its pictures into a folder beside it: `r.md` and `r.assets/`.

    The pictures come first and the pictures of an earlier report go last: the text never speaks
    of a picture that is not there. A pipe has no folder beside it.

    Raises:
        UsageError: The system does not let us, or a file of somebody else's is in the way.
    """
    if not isinstance(renderer, Illustrated) or _is_special(path):
        write_file(path, renderer.render(report))
        return
    folder = path.with_name(f"{path.stem}.assets")
    text, pictures = renderer.render_with_pictures(report, folder.name)
    try:
        if pictures:
            folder.mkdir(exist_ok=True)
        before = [old for old in folder.glob("*.svg") if _is_ours(old)]
        foreign = [folder / name for name in pictures
                   if (folder / name).exists() and folder / name not in before]
    except OSError as problem:
        raise UsageError(f"{folder} cannot be used: {problem.strerror}.") from problem
    if foreign:
        raise UsageError(f"{foreign[0]} is no picture of an audit, and stays as it is.")
    for name, picture in pictures.items():
        write_file(folder / name, f"{picture}\n{_MARK}\n")
    write_file(path, text)
    _remove(old for old in before if old.name not in pictures)
    if not pictures:
        _remove_empty(folder)


def write_file(path: Path, text: str) -> None:
    """Replace a file at once: a reader sees the old text or the new one, never a part.

    Raises:
        UsageError: The system does not let us.
    """
    try:
        if _is_special(path):
            # A pipe or `/dev/stdout` is written to, never replaced.
            path.write_text(text, encoding="utf-8", newline="\n")
            return
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


def let_go_of_stdout() -> None:
    """Send what is still to come on standard output nowhere: it cannot be written."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, sys.stdout.fileno())
    except (OSError, ValueError):
        # It is no file of the system's.
        return
    finally:
        os.close(nowhere)


def _is_special(path: Path) -> bool:
    return path.exists() and not path.is_file()


def _is_ours(picture: Path) -> bool:
    return picture.is_file() and picture.read_bytes().rstrip().endswith(_MARK.encode())


def _remove(pictures: Iterable[Path]) -> None:
    for old in pictures:
        with contextlib.suppress(FileNotFoundError):
            old.unlink()


def _remove_empty(folder: Path) -> None:
    # Somebody else's files may be in it, or it was never there: both are fine.
    with contextlib.suppress(OSError):
        folder.rmdir()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
