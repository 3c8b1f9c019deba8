"""Bars across: of trials over seeds, of shares, and of the ranges of features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .scales import Axis
from .shapes import GRID, PALETTE, WIDTH, cut, hover, label, opening, rect, text
from .wording import number

_LABELS, _VALUES = 116, 112
_ROW, _HEIGHT, _TICKS = 22, 13, 24
_LETTERS = 16


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: solid from zero to `low`, pale from there to `high`.

    Attributes:
        label: What it is.
        low: The smallest of the values.
        high: The largest of them.
        says: The values in words.
        color: Of the palette.
    """

    label: str
    low: float
    high: float
    says: str
    color: str = "blue"


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars that begin at zero."""

    title: str
    says: str
    bars: tuple[Bar, ...]

    def svg(self, ident: str) -> str:
        """Return the bars as an `<svg>` element; `ident` is unique on the page."""
        low = min(0.0, *(bar.low for bar in self.bars))
        high = max(bar.high for bar in self.bars)
        scale = (WIDTH - _LABELS - _VALUES) / ((high - low) or 1.0)
        rows = (_bar(bar, _ROW * position, low, scale) for position, bar in enumerate(self.bars))
        head = opening(ident, self.title, self.says, _ROW * len(self.bars))
        return f"{head}{''.join(rows)}</svg>"


def bars_svg(bars: Sequence[Bar], title: str, ident: str) -> str:
    """Return bars as an `<svg>` element that says what stands beside them."""
    says = "; ".join(f"{bar.label} {bar.says}" for bar in bars)
    return Bars(title, says, tuple(bars)).svg(ident)


def _bar(bar: Bar, top: int, low: float, scale: float) -> str:
    solid, pale = scale * (bar.low - low), scale * (bar.high - bar.low)
    said = f"{bar.label}: {bar.says}"
    return (
        label(0, top + 15, cut(bar.label, _LETTERS))
        + rect(_LABELS, top + 4, solid, _HEIGHT, bar.color, 1.0, said)
        + rect(_LABELS + solid, top + 4, pale, _HEIGHT, bar.color, 0.35, said)
        + label(_LABELS + solid + pale + 6, top + 15, bar.says))


@dataclass(frozen=True, slots=True)
class Span:
    """The range of one feature.

    Attributes:
        label: Of the feature.
        low: Smallest value.
        high: Largest value.
        mean: Of the values.
        std: Their standard deviation.
    """

    label: str
    low: float
    high: float
    mean: float
    std: float

    @property
    def says(self) -> str:
        """The range in words."""
        return (f"{self.label}: {number(self.low)} to {number(self.high)}, "
                f"mean {number(self.mean)}, std {number(self.std)}")


@dataclass(frozen=True, slots=True)
class Spans:
    """Ranges on one axis: a line from end to end, a box of a standard deviation to each side."""

    title: str
    says: str
    axis: Axis
    spans: tuple[Span, ...]

    def svg(self, ident: str) -> str:
        """Return the ranges as an `<svg>` element; `ident` is unique on the page."""
        floor = _ROW * len(self.spans)
        rows = (row for position, span in enumerate(self.spans)
                for row in self._row(span, _ROW * position + _ROW / 2))
        head = opening(ident, self.title, self.says, floor + _TICKS)
        return f"{head}{''.join((*self._grid(floor), *rows))}</svg>"

    def _across(self, value: float) -> float:
        inside = min(max(value, self.axis.low), self.axis.high)
        return _LABELS + self.axis.place(inside) * (WIDTH - _LABELS - 20)

    def _grid(self, floor: float) -> Iterator[str]:
        for value, words in self.axis.ticks():
            x = round(self._across(value), 1)
            yield (f'<line class="grid" stroke="{GRID}" x1="{x}" x2="{x}" y1="0" y2="{floor}"/>'
                   f'{label(x, floor + 16, words, "tick", "middle")}')

    def _row(self, span: Span, middle: float) -> Iterator[str]:
        ends = [round(self._across(v), 1) for v in (span.low, span.high)]
        left = self._across(max(span.mean - span.std, span.low))
        right = self._across(min(span.mean + span.std, span.high))
        yield label(0, middle + 4, cut(span.label, _LETTERS))
        yield (f'<line class="s-blue" stroke="{PALETTE["blue"]}" stroke-width="2" x1="{ends[0]}" '
               f'x2="{ends[1]}" y1="{middle:g}" y2="{middle:g}">{hover(span.says)}</line>')
        yield rect(left, middle - 5, max(right - left, 1.5), 10, "blue", 0.45, span.says)
        yield (f'<circle class="f-blue" fill="{PALETTE["blue"]}" r="3" '
               f'cx="{round(self._across(span.mean), 1)}" cy="{middle:g}">'
               f"<title>{text(span.says)}</title></circle>")
