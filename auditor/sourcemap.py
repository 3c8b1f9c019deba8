"""Finds the line of the user's file that makes a layer, an optimizer, a loader or a loss.

While the user's file and factories run, the `__init__` of a few base classes is wrapped. The
first frame above an object's own `__init__` chain that lies in a user's file is its place; the
bytecode's positions give the expression, so that four layers on one line have four columns.
"""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import linecache
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader

from auditor.observation import Place
from auditor.usercode import is_ours, is_users, shown_path, users_frame

# Kept in the instance's own dictionary, so that `copy.deepcopy` carries it to clones.
_KEY = "_auditor_place"
_RECORDED: tuple[type[Any], ...] = (nn.Module, Optimizer, DataLoader, LRScheduler)


@contextmanager
def recording() -> Iterator[None]:
    """Note where modules, optimizers, loaders and schedules are made inside."""
    originals = [(cls, cls.__dict__["__init__"]) for cls in _RECORDED]
    for cls, original in originals:
        cls.__init__ = _noting(original)
    try:
        yield
    finally:
        for cls, original in originals:
            cls.__init__ = original


def take_place(made: object) -> Place | None:
    """Return where a recorded object was made, and take the note off it."""
    own = getattr(made, "__dict__", None)
    place = own.pop(_KEY, None) if isinstance(own, dict) else None
    return place if isinstance(place, Place) else None


def take_layer_places(model: nn.Module) -> dict[str, Place]:
    """Return the place of every layer by its path ("" is the model), and take the notes off.

    A layer that was made before the recording, or loaded whole, has the place of its class when
    that stands in a user's file.
    """
    places: dict[str, Place] = {}
    for path, module in model.named_modules():
        place = take_place(module) or place_of_definition(type(module))
        if place is not None:
            places[path] = place
    return places


def forget(*objects: object) -> None:
    """Take the notes off objects whose places nobody asked for."""
    for made in objects:
        if isinstance(made, nn.Module):
            for module in made.modules():
                take_place(module)
        else:
            take_place(made)


def place_of_caller(above: FrameType | None = None) -> Place | None:
    """Return the expression in the user's file that led to the present call.

    Args:
        above: Where the walk upward starts; the caller's frame by default.
    """
    frame: FrameType | None = above if above is not None else sys._getframe(1)
    while frame is not None and is_ours(frame.f_code.co_filename):
        frame = frame.f_back
    return _first_place(frame)


def place_of_argument(call: Place, argument: str | int) -> Place | None:
    """Return where an argument stands in a recorded call; None when it is not written there.

    Args:
        call: Place of the whole call, with its columns.
        argument: Name of a keyword (the place includes `name=`), or a position.
    """
    if not call.column:
        return None
    source = "".join(linecache.getlines(os.path.abspath(call.file)))
    found = next((n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Call)
                  and _bounds(n, source) == (call.line, call.column, call.end_line,
                                             call.end_column)), None)
    if found is None:
        return None
    node: ast.AST | None
    if isinstance(argument, str):
        node = next((k for k in found.keywords if k.arg == argument), None)
    else:
        node = found.args[argument] if argument < len(found.args) else None
    if node is None:
        return None
    line, column, end_line, end_column = _bounds(node, source)
    return Place(call.file, line, column, end_line, end_column, source.splitlines()[line - 1])


def place_of_definition(defined: object) -> Place | None:
    """Return where a class or function of the user begins; None for those of libraries."""
    if isinstance(defined, functools.partial):
        defined = defined.func
    defined = inspect.unwrap(defined) if callable(defined) else defined
    try:
        file = inspect.getfile(defined)  # type: ignore[arg-type]
        if not is_users(file):
            return None
        _, line = inspect.getsourcelines(defined)  # type: ignore[arg-type]
    except (TypeError, OSError):
        return None
    return place_of_line(file, _past_decorators(file, line))


def place_of_name(file: str, name: str) -> Place | None:
    """Return the top-level statement of a file that binds a name; None when there is none."""
    for node in reversed(ast.parse("".join(linecache.getlines(file))).body):
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        bound = [part.id for target in targets if target is not None
                 for part in ast.walk(target) if isinstance(part, ast.Name)]
        if name in (*bound, getattr(node, "name", None)):
            return place_of_line(file, _past_decorators(file, node.lineno)
                                 if hasattr(node, "name") else node.lineno)
    return None


def place_of_line(file: str, line: int) -> Place:
    """Return the place of a whole line, without its indentation."""
    code = linecache.getline(file, line).rstrip()
    begin = len(code) - len(code.lstrip())
    if not code:
        return Place(shown_path(file), line)
    return Place(shown_path(file), line, begin + 1, line, len(code) + 1, code)


def _noting(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        if _KEY not in self.__dict__:
            place = _first_place(_outside_of(self, sys._getframe(1)))
            if place is not None:
                self.__dict__[_KEY] = place
        original(self, *args, **kwargs)

    return __init__


def _outside_of(made: object, frame: FrameType | None) -> FrameType | None:
    """Skip the frames of the object's own `__init__` chain: their first argument is the object."""
    while frame is not None:
        code = frame.f_code
        if not code.co_argcount or frame.f_locals.get(code.co_varnames[0]) is not made:
            return frame
        frame = frame.f_back
    return None


def _first_place(frame: FrameType | None) -> Place | None:
    frame = users_frame(frame)
    return _place(frame.f_code.co_filename, *_position(frame)) if frame is not None else None


def _position(frame: FrameType) -> tuple[int, int | None, int | None, int | None]:
    """Return line, end line and byte columns of the expression that a frame is at."""
    positions = getattr(frame.f_code, "co_positions", None)  # since Python 3.11
    if positions is not None:
        found = next(itertools.islice(positions(), frame.f_lasti // 2, None), None)
        if found is not None and found[0] is not None:
            return found  # type: ignore[no-any-return]
    return frame.f_lineno, None, None, None


def _place(
    file: str, line: int, end_line: int | None, begin: int | None, end: int | None,
) -> Place:
    code = linecache.getline(file, line).rstrip("\r\n")
    if end_line is None or begin is None or end is None:
        return Place(shown_path(file), line, code=code)
    last = code if end_line == line else linecache.getline(file, end_line).rstrip("\r\n")
    return Place(
        shown_path(file), line, _characters(code, begin) + 1,
        end_line, _characters(last, end) + 1, code,
    )


def _bounds(node: Any, source: str) -> tuple[int, int, int, int]:
    """Return first line and column, last line and column of a node, as places count them."""
    lines = source.splitlines()
    return (
        node.lineno, _characters(lines[node.lineno - 1], node.col_offset) + 1,
        node.end_lineno, _characters(lines[node.end_lineno - 1], node.end_col_offset) + 1,
    )


def _characters(line: str, count: int) -> int:
    """Return the number of characters in the first `count` bytes of a line."""
    return len(line.encode()[:count].decode(errors="ignore"))


def _past_decorators(file: str, line: int) -> int:
    """Return the line of `class` or `def` itself, below the decorators at `line`."""
    for later in itertools.count(line):
        text = linecache.getline(file, later)
        if not text or text.lstrip().startswith(("class ", "def ", "async def ")):
            return later if text else line
    return line
