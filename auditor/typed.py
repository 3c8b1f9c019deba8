"""Whether a dataclass that was read from a file holds what its annotations say."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


def misfit(value: object, hint: Any) -> str:
    """Return where and why a value does not fit a type, as `.findings[0].rule is 3, not a text`.

    Args:
        value: A dataclass, or what one holds: scalars, tuples and mappings of such values.
        hint: Its type. Lists and dicts are plain JSON, and what they hold is not looked at.

    Returns:
        An empty text if it fits.
    """
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        problems = [misfit(value, member) for member in get_args(hint)]
        # Of "a place or nothing" the place says what is wrong with it.
        return max(problems, key=len) if all(problems) else ""
    if origin is Literal:
        fits = isinstance(value, str) and value in get_args(hint)
        return "" if fits else f" is {_shown(value)}, not one of {', '.join(get_args(hint))}"
    if isinstance(hint, type) and dataclasses.is_dataclass(hint) and isinstance(value, hint):
        return _first((f".{name}", getattr(value, name), inner)
                      for name, inner in _hints(hint).items())
    if origin is tuple and isinstance(value, tuple):
        inner = get_args(hint)[0]
        return _first((f"[{index}]", item, inner) for index, item in enumerate(value))
    if origin is Mapping and isinstance(value, Mapping):
        inner = get_args(hint)[1]
        return _first((f".{str(key)[:40]}", item, inner) for key, item in value.items())
    return "" if _is_a(value, origin or hint) else f" is {_shown(value)}, not {_word(hint)}"


def _first(parts: Iterable[tuple[str, object, Any]]) -> str:
    for name, value, hint in parts:
        if type(value) is hint and not dataclasses.is_dataclass(hint):
            continue
        problem = misfit(value, hint)
        if problem:
            return name + problem
    return ""


def _is_a(value: object, hint: Any) -> bool:
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, (int, float) if hint is float else hint)


@lru_cache(maxsize=64)
def _hints(cls: Any) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _shown(value: object) -> str:
    if isinstance(value, (str, int, float)) or value is None:
        return repr(value)[:40]
    return "a list" if isinstance(value, (list, tuple)) else "an object"


def _word(hint: Any) -> str:
    words = {str: "a text", int: "a whole number", float: "a number", bool: "true or false",
             type(None): "nothing"}
    return words.get(hint, "a list" if get_origin(hint) in (tuple, list) else "an object")
