from __future__ import annotations

from importlib import import_module

import pytest

from auditor.observation import Place

codeframe = import_module("auditor.reports.codeframe")


@pytest.mark.parametrize(("place", "carets"), [
    (Place("m.py", 1, 5, 1, 8, "x = f(1)"), "    ^^^"),
    (Place("m.py", 1, 5, 3, 2, "x = f(1,"), "    ^^^^"),
    (Place("m.py", 1, 2, 1, 3, "\tx"), "    ^"),
    (Place("m.py", 1, 5, 1, 8, "層 = f(1)"), "     ^^^"),
    (Place("m.py", 1, 5, 0, 0, "x = f(1)"), "    ^^^^"),
    (Place("m.py", 1, 3, 1, 4, "\x1b x"), "     ^"),
    (Place("m.py", 1, 0, 0, 0, "x = f(1)"), ""),
    (Place("m.py", 1, 99, 1, 100, "x = f(1)"), ""),
])
def test_carets_stand_under_the_expression(place: Place, carets: str) -> None:
    frame = codeframe.frame_of(place)

    assert frame is not None
    assert frame.carets == carets


@pytest.mark.parametrize("place", [None, Place("m.py", 1), Place("m.py", 1, code="   ")])
def test_a_place_without_its_line_has_no_frame(place: Place | None) -> None:
    assert codeframe.frame_of(place) is None
