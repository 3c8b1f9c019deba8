"""The files of rule packs: which there are, and their bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from auditor.document import read_limited
from auditor.errors import PackError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


def pack_text(source: Traversable | Path, name: str) -> bytes:
    """Return the bytes of a pack file.

    Raises:
        PackError: The file cannot be read.
    """
    try:
        return read_limited(source)
    except OSError as problem:
        raise PackError(f"The rule pack {name} cannot be read: {problem.strerror}.") from problem


def pack_texts(
    folder: Traversable | Path, name: str = "", mentioned: str = "",
) -> Iterator[tuple[bytes, str]]:
    """Yield the bytes of all `*.yaml` files of a folder, and how errors show the file.

    Args:
        folder: Where the packs lie.
        name: How errors show it; by default the folder's name.
        mentioned: Only files in whose text this stands.

    Raises:
        PackError: A file cannot be read.
    """
    # A name from the command line can hold halves of characters, which stand in no file.
    wanted = mentioned.encode("utf-8", "replace")
    files = sorted((item for item in folder.iterdir() if item.name.endswith(".yaml")),
                   key=lambda item: item.name)
    for item in files:
        shown = f"{name or folder.name}/{item.name}"
        text = pack_text(item, shown)
        if wanted in text:
            yield text, shown
