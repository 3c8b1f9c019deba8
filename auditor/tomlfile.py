"""One table of a TOML file with positions, so that errors show the line."""

from __future__ import annotations

import re
import sys

from auditor.document import Document, Extent, Path, decode_text, frame
from auditor.errors import AuditorError
from auditor.observation import Json

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_POSITION = re.compile(r"at line (\d+), column (\d+)")
_HEADER = re.compile(r"\s*(\[(\[)?[^\[\]]+\]\]?)\s*(#.*)?$")
_KEY = re.compile(r"\s*((?:[A-Za-z0-9_.\-\s]|\"[^\"]*\"|'[^']*')+?)\s*=\s*(.*)$")


def read_table(
    data: bytes, name: str, table: tuple[str, ...], error: type[AuditorError]
) -> Document | None:
    """Return a table of a TOML file, or None if the file does not have it.

    Args:
        data: The file's bytes.
        name: Of the file, for errors.
        table: Path of the table, ("tool", "auditor").
        error: Which error to raise.

    Raises:
        AuditorError: Of the type `error`: the file is no TOML.
    """
    # A broken file that has nothing to do with the table is none of our business.
    if table[-1].encode() not in data:
        return None
    text = decode_text(data, name, error)
    lines = tuple(text.split("\n"))
    try:
        found: Json = tomllib.loads(text)
    except (ValueError, RecursionError) as problem:
        # Besides its own error the parser lets through that of a number of thousands of digits.
        at = _POSITION.search(str(problem))
        where = frame(name, lines, int(at[1]) - 1, int(at[2]) - 1, 1) if at else name
        sentence = _POSITION.sub("", str(problem)).rstrip(" ()")
        raise error(f"This is not valid TOML: {sentence}.", where=where) from None
    for key in table:
        if not isinstance(found, dict) or key not in found:
            return None
        found = found[key]
    values, keys = _positions(lines, table)
    return Document(name, found, lines, values, keys)


def _positions(
    lines: tuple[str, ...], table: tuple[str, ...]
) -> tuple[dict[Path, Extent], dict[Path, Extent]]:
    """Return where values and keys of the table stand; only keys that begin a line are found."""
    values: dict[Path, Extent] = {}
    keys: dict[Path, Extent] = {}
    current: Path = ()
    counts: dict[Path, int] = {}
    for number, line in enumerate(lines):
        header = _HEADER.match(line)
        key = _KEY.match(line)
        if header:
            current = _parts(f"{header[1]}\n")
            if header[2]:
                # An array of tables: this is the next one.
                counts[current] = counts.get(current, -1) + 1
                current = (*current, counts[current])
            path, extent = current, (number, header.start(1), len(header[1]))
            value = extent
        elif key:
            path = (*current, *_parts(f"{key[1]} = 0\n"))
            extent = (number, key.start(1), len(key[1]))
            value = (number, key.start(2), max(len(key[2].rstrip()), 1))
        else:
            continue
        if path[: len(table)] == table:
            values.setdefault(path[len(table):], value)
            keys.setdefault(path[len(table):], extent)
    return values, keys


def _parts(text: str) -> Path:
    """Return the keys of a header or of an assignment, read by the TOML parser itself."""
    try:
        found: Json = tomllib.loads(text)
    except (ValueError, RecursionError):
        return ()
    parts: list[str] = []
    while isinstance(found, dict) and found:
        key = next(iter(found))
        parts.append(key)
        found = found[key]
    # `[[table]]` alone is a list with one empty table; it ends here.
    return tuple(parts)
