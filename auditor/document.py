"""YAML files with positions: plain scalars mean what they look like, and errors show the line."""

from __future__ import annotations

import math
import pathlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import yaml

from auditor.errors import AuditorError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from auditor.observation import Json

Path: TypeAlias = "tuple[str | int, ...]"
# 0-based line and column, and how many characters.
Extent: TypeAlias = "tuple[int, int, int]"

MAX_BYTES = 1_000_000
MAX_DEPTH = 30
MAX_EVENTS = 100_000
# Characters of a source line in an error.
_SHOWN = 200

_TAG = "tag:yaml.org,2002:"


# libyaml is ten times faster; the wheels of PyYAML have it.
_Parser = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Parser):  # type: ignore[misc,valid-type]
    """YAML 1.2's reading of plain scalars: `on` is a text, 1e-7 a number, 1:30 and 010 texts."""


# PyYAML's own table holds booleans, numbers and dates of YAML 1.1; only null and merge stay.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag == _TAG + "null"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    _TAG + "bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    _TAG + "int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    _TAG + "float",
    re.compile(
        r"^(?:[-+]?(?:(?:0|[1-9][0-9]*)\.[0-9]*(?:[eE][-+]?[0-9]+)?|\.[0-9]+(?:[eE][-+]?[0-9]+)?"
        r"|(?:0|[1-9][0-9]*)[eE][-+]?[0-9]+|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN))$"
    ),
    list("-+.0123456789"),
)


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML file that was read.

    Attributes:
        name: Of the file, as errors show it.
        data: Its content as plain JSON values (floats may be NaN or infinite).
        lines: Its text.
    """

    name: str
    data: Json
    lines: tuple[str, ...]
    _values: Mapping[Path, Extent]
    _keys: Mapping[Path, Extent]

    def line(self, path: Path) -> int:
        """Return the 1-based line of a value, or of the nearest value around it."""
        return self._mark(path, key=False)[0] + 1

    def where(
        self, path: Path, *, key: bool = False, part: tuple[str, int, int] | None = None
    ) -> str:
        """Return `file:line:column` and the source line with a caret under the value.

        Args:
            path: Keys and indices from the root; a value that is missing is shown at its parent.
            key: Point at the key instead of the value.
            part: The value's text, and offset and width of what is wrong in it.
        """
        line, column, width = self._mark(path, key)
        if part:
            text, offset, part_width = part
            source = self.lines[line] if line < len(self.lines) else ""
            start = source.find(text, column)
            # A text that is folded over several lines, or has escapes, is shown as a whole.
            if start in (column, column + 1):
                column, width = start + offset, part_width
        return frame(self.name, self.lines, line, column, width)

    def with_underscores(self) -> Document:
        """Return the document with hyphens in the keys of its first level turned to underscores."""
        def renamed(path: Path) -> Path:
            return (str(path[0]).replace("-", "_"), *path[1:]) if path else path

        data = self.data
        if isinstance(data, dict):
            data = {key.replace("-", "_"): value for key, value in data.items()}
        return Document(
            self.name, data, self.lines,
            {renamed(path): extent for path, extent in self._values.items()},
            {renamed(path): extent for path, extent in self._keys.items()},
        )

    def _mark(self, path: Path, key: bool) -> Extent:
        if key and path in self._keys:
            return self._keys[path]
        while path and path not in self._values:
            path = path[:-1]
        return self._values.get(path, (0, 0, 1))


def read_document(data: bytes | str, name: str, error: type[AuditorError]) -> Document:
    """Return a YAML document with the position of everything in it.

    Args:
        data: The file's bytes (UTF-8, with or without byte order mark, any line end) or its text.
        name: Of the file, for errors.
        error: Which error to raise.

    Raises:
        AuditorError: Of the type `error`: no YAML, a key twice, an alias, a tag, several
            documents, or more of it than a person would write.
    """
    text = decode_text(data, name, error)
    lines = tuple(text.split("\n"))
    try:
        refusal = _guard(text)
        if refusal:
            problem, line, column = refusal
            raise error(f"This YAML cannot be used: {problem}.",
                        where=frame(name, lines, line, column, 1))
        root = yaml.compose(text, Loader=_Loader)
        walk = _Walk(name, lines, error)
        value = walk.value(root, ()) if root is not None else None
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        where = frame(name, lines, mark.line, mark.column, 1) if mark else name
        raise error(f"This is not valid YAML: {fault.problem}.", where=where) from None
    except yaml.YAMLError as fault:
        raise error(f"This is not valid YAML: {_first_line(fault)}.", where=name) from None
    return Document(name, value, lines, walk.values, walk.keys)


def read_limited(path: Traversable | pathlib.Path, limit: int = MAX_BYTES) -> bytes:
    """Return the bytes of a file, at most one more than the limit: a device may have no end.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return file.read(limit + 1)


def decode_text(
    data: bytes | str, name: str, error: type[AuditorError], *, limit: int = MAX_BYTES
) -> str:
    """Return the text of a UTF-8 file with plain line ends.

    Raises:
        AuditorError: Of the type `error`: larger than `limit` bytes, or not UTF-8.
    """
    if len(data) > limit:
        raise error(f"The file has more than {limit:,} bytes.", where=name)
    if isinstance(data, bytes):
        try:
            data = data.decode("utf-8-sig")
        except UnicodeDecodeError as problem:
            line = problem.object[:problem.start].count(b"\n") + 1
            raise error(
                "The file is not UTF-8 text.", where=f"{name}:{line}", hint="Save it as UTF-8."
            ) from None
    return data.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def frame(name: str, lines: tuple[str, ...], line: int, column: int, width: int) -> str:
    """Return `file:line:column`, the source line, and a caret under it.

    Line and column are 0-based, as shown they are 1-based. Of a very long line only the part
    around the column is shown.
    """
    text = lines[line] if line < len(lines) else ""
    number = f"{line + 1:>4}"
    start = max(column - _SHOWN // 2, 0) if len(text) > _SHOWN else 0
    shown = text[start:start + _SHOWN]
    at = column - start
    caret = " " * at + "^" * max(1, min(width, len(shown) - at))
    return f"{name}:{line + 1}:{column + 1}\n{number} | {shown}\n{' ' * len(number)} | {caret}"


def _guard(text: str) -> tuple[str, int, int] | None:
    """Return what is wrong with the stream of events, and where, before a tree is built of it."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=_Loader)):
        problem = ""
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.AliasEvent):
            problem = "aliases (*name) are not used in these files; write the value out"
        if depth > MAX_DEPTH or count > MAX_EVENTS:
            problem = "it is nested too deep or too large"
        if problem:
            mark = event.start_mark
            return (problem, mark.line, mark.column) if mark else (problem, 0, 0)
    return None


class _Walk:
    """Turns nodes into plain values and remembers where each stands."""

    def __init__(self, name: str, lines: tuple[str, ...], error: type[AuditorError]) -> None:
        self.name = name
        self.lines = lines
        self.error = error
        self.values: dict[Path, Extent] = {}
        self.keys: dict[Path, Extent] = {}

    def value(self, node: yaml.Node, path: Path) -> Json:
        """Return the plain value of a node."""
        self.values[path] = _extent(node)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            self._check_tag(node, "seq")
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> Json:
        self._check_tag(node, "map")
        found: dict[str, Json] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self.error("A key has to be a plain word.", where=self._frame(key_node))
            key = str(key_node.value)
            if key in found:
                first = self.keys[(*path, key)][0] + 1
                raise self.error(
                    f"key '{key}' appears twice (first on line {first})",
                    where=self._frame(key_node),
                )
            self.keys[(*path, key)] = _extent(key_node)
            found[key] = self.value(value_node, (*path, key))
        return found

    def _scalar(self, node: yaml.Node) -> Json:
        text = str(node.value)
        kind = str(node.tag).removeprefix(_TAG)
        if kind == "str":
            return text
        try:
            return _PLAIN[kind](text)
        except (KeyError, ValueError):
            raise self.error(
                f"'{text[:40]}' with the tag {node.tag} is not used in these files.",
                where=self._frame(node),
            ) from None

    def _check_tag(self, node: yaml.Node, kind: str) -> None:
        if node.tag != _TAG + kind:
            raise self.error(
                f"The tag {node.tag} is not used in these files.", where=self._frame(node)
            )

    def _frame(self, node: yaml.Node) -> str:
        return frame(self.name, self.lines, *_extent(node))


def _extent(node: yaml.Node) -> Extent:
    start, end = node.start_mark, node.end_mark
    width = end.column - start.column if end.line == start.line else 1
    return start.line, start.column, max(width, 1)


def _float(text: str) -> float:
    word = text.lower().lstrip("+")
    special = {".inf": math.inf, "-.inf": -math.inf, ".nan": math.nan}
    return special[word] if word in special else float(text)


# A tag written out (!!bool maybe) reaches these with any text.
_PLAIN: dict[str, Callable[[str], Json]] = {
    "null": lambda text: {"": None, "~": None, "null": None}[text.lower()],
    "bool": lambda text: {"true": True, "false": False}[text.lower()],
    "int": int,
    "float": _float,
}


def _first_line(problem: Exception) -> str:
    return str(problem).splitlines()[0] if str(problem) else type(problem).__name__
