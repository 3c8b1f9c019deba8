"""A line of the user's file with carets under the expression that a finding is about."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from auditor.observation import Place
from auditor.visible import visible

_TAB = 4


@dataclass(frozen=True, slots=True)
class CodeFrame:
    """One source line and where its marked expression stands.

    Attributes:
        line: 1-based number.
        code: The line, tabs expanded, control characters escaped.
        start: Terminal cells before the expression.
        width: Terminal cells of the expression on this line; 0 when its column is unknown.
    """

    line: int
    code: str
    start: int
    width: int

    @property
    def carets(self) -> str:
        """The line of carets below the code; empty when the column is unknown."""
        return " " * self.start + "^" * self.width if self.width else ""


def frame_of(place: Place | None) -> CodeFrame | None:
    """Return the frame of a place, or None when its source line is not known."""
    if place is None or not place.code.strip():
        return None
    code = place.code.rstrip()
    if not 0 < place.column <= len(code):
        return CodeFrame(place.line, _shown(code), 0, 0)
    # An expression that goes on below this line is marked up to the line's end.
    is_one_line = place.end_line in (0, place.line)
    end = place.end_column - 1 if is_one_line and place.end_column else len(code)
    end = min(max(end, place.column), len(code))
    start = cells(_shown(code[: place.column - 1]))
    return CodeFrame(place.line, _shown(code), start, cells(_shown(code[:end])) - start)


def cells(text: str) -> int:
    """Return how many columns of a terminal the text fills."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    combining = sum(unicodedata.combining(c) > 0 for c in text)
    return len(text) + wide - combining


def _shown(code: str) -> str:
    return visible(code.expandtabs(_TAB))
