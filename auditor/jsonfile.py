"""Strict JSON files of the user's: what is wrong is shown with file, line and column."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

from auditor.document import MAX_BYTES, decode_text, frame
from auditor.errors import AuditorError
from auditor.observation import Json

# Deeper than any report, and far from the recursion limit of whoever walks through it.
_MAX_DEPTH = 60


def read_json(
    data: bytes, name: str, error: type[AuditorError], *, limit: int = MAX_BYTES, hint: str = "",
) -> Json:
    """Return the content of a JSON file.

    Args:
        data: The file's bytes (UTF-8, with or without byte order mark, any line end).
        name: Of the file, for errors.
        error: Which error to raise.
        limit: Most bytes.
        hint: What to do about a file that is no JSON.

    Raises:
        AuditorError: Of the type `error`: no UTF-8, no JSON, a key twice, a number that is not
            finite, or nested too deep.
    """
    text = decode_text(data, name, error, limit=limit)
    try:
        found: Json = json.loads(
            text, parse_constant=_no_constant, parse_float=_float, parse_int=_int,
            object_pairs_hook=_object,
        )
    except json.JSONDecodeError as problem:
        raise error(f"{name} is no JSON file: {problem.msg}.",
                    where=_frame(name, text, problem), hint=hint) from None
    except ValueError as problem:
        raise error(f"{name} cannot be used: {problem}.", hint=hint) from None
    except RecursionError:
        raise error(f"{name} cannot be used: it is nested too deep.", hint=hint) from None
    if _depth(found) > _MAX_DEPTH:
        raise error(f"{name} cannot be used: it is nested too deep.", hint=hint)
    return found


def _frame(name: str, text: str, problem: json.JSONDecodeError) -> str:
    line = problem.doc.count("\n", 0, problem.pos)
    begin = problem.doc.rfind("\n", 0, problem.pos) + 1
    end = problem.doc.find("\n", begin)
    source = text[begin:end if end >= 0 else len(text)]
    return frame(name, ("",) * line + (source,), line, problem.pos - begin, 1)


def _no_constant(word: str) -> float:
    raise ValueError(f'{word} is no JSON; write "{word.lower().replace("infinity", "inf")}"')


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:20]} is too large")
    return value


def _int(text: str) -> int:
    # Python itself refuses to read numbers of thousands of digits.
    if len(text) > sys.float_info.max_10_exp:
        raise ValueError(f"the number {text[:20]}... is too large")
    return int(text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key '{twice[:40]}' appears twice in one object")
    return found


def _depth(value: Json) -> int:
    """Return how deep lists and objects lie in each other, counted level by level."""
    level: list[Json] = [value]
    depth = 0
    while level := [inner for item in level if isinstance(item, (list, dict))
                    for inner in (item.values() if isinstance(item, dict) else item)]:
        depth += 1
    return depth
