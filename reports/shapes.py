"""What every picture is made of: colours, words and boxes as SVG.

Colours are presentation attributes, so that a page under a strict policy shows the picture;
classes let a style sheet recolour it for a dark page. Text has a halo, so that lines may cross it.
"""

from __future__ import annotations

from html import escape
from typing import Protocol

from auditor.visible import visible

WIDTH = 560
FONT_SIZE = 12.5
# Of lines and areas, by the ends of their classes.
PALETTE = {
    "blue": "#0072b2", "red": "#b93815", "green": "#007a57", "amber": "#8a5a0b",
    "violet": "#7a4a9c", "teal": "#2f6473", "rose": "#9c3d6e", "olive": "#566418",
    "grey": "#5b616b",
}
# Of words that are no name of a line.
_INK = {"tick": "#5b616b", "name": "#33383f", "bad": PALETTE["red"], "good": PALETTE["green"]}
GRID = "#d8dbe0"


class Drawing(Protocol):
    """A picture that can be written on a page or as a file of its own."""

    @property
    def title(self) -> str:
        """Its name for readers who do not see it."""

    @property
    def says(self) -> str:
        """Its result in words."""

    def svg(self, ident: str) -> str:
        """Return it as an `<svg>` element; `ident` is unique on the page."""


def opening(
    ident: str, title: str, says: str, height: float, data: str = "", width: float = WIDTH,
) -> str:
    """Return the start tag of a picture with its title and its description.

    Args:
        ident: Unique on the page.
        title: Its name for readers who do not see it.
        says: Its result in words.
        height: In the units of `width`.
        data: Further attributes, escaped.
        width: Of the picture.
    """
    return (
        f'<svg class="chart" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'role="img" aria-labelledby="{ident}-t {ident}-d" font-family="system-ui,sans-serif" '
        f'font-size="{FONT_SIZE}"{data}><title id="{ident}-t">{text(title)}</title>'
        f'<desc id="{ident}-d">{text(says)}</desc>'
    )


def label(x: float, y: float, words: str, kind: str = "tick", anchor: str = "start") -> str:
    """Return words of a kind: "tick", "name", "bad", "good", or a colour of the palette."""
    return (f'<text class="{_word_class(kind)}" fill="{_ink(kind)}" text-anchor="{anchor}" '
            f'x="{_short(x)}" y="{_short(y)}">{text(words)}</text>')


def halo(x: float, y: float, words: str, kind: str, anchor: str = "start") -> str:
    """Return words that stay readable where lines cross them."""
    return (f'<text class="halo {_word_class(kind)}" paint-order="stroke" stroke="#fff" '
            f'stroke-width="3" stroke-linejoin="round" fill="{_ink(kind)}" '
            f'text-anchor="{anchor}" x="{_short(x)}" y="{_short(y)}">{text(words)}</text>')


def rect(
    x: float, y: float, width: float, height: float, color: str, opacity: float = 1.0,
    says: str = "",
) -> str:
    """Return a box of a colour of the palette; `says` shows under the pointer."""
    return (f'<rect class="f-{color}" fill="{PALETTE[color]}" fill-opacity="{opacity:g}" '
            f'x="{_short(x)}" y="{_short(y)}" width="{_short(max(width, 0))}" '
            f'height="{_short(max(height, 0))}">{hover(says)}</rect>')


def hover(says: str) -> str:
    """Return what shows under the pointer, for the inside of a shape."""
    return f"<title>{text(says)}</title>" if says else ""


def cut(words: str, letters: int) -> str:
    """Return the words, or their end after a sign that something is missing."""
    return words if len(words) <= letters else f"…{words[1 - letters:]}"


def text(words: str) -> str:
    """Return words as they can stand in an element or in an attribute."""
    return escape(visible(words), quote=True)


def quoted(words: str) -> str:
    """Return words as they can stand in an attribute between single quotes."""
    return escape(visible(words), quote=False).replace("'", "&#39;")


def _word_class(kind: str) -> str:
    return kind if kind in _INK else f"f-{kind}"


def _ink(kind: str) -> str:
    return _INK.get(kind) or PALETTE[kind]


def _short(value: float) -> str:
    return f"{round(value, 1):g}"
