"""Histograms of many layers, one ridge above the other, the first layer on top."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .scales import Axis
from .shapes import GRID, PALETTE, WIDTH, cut, hover, label, opening
from .wording import number

_LABELS, _VALUES, _TOP, _BOTTOM = 112, 104, 26, 42
_ROW, _PEAK = 28, 38
_LETTERS, _SHORT_LETTERS = 15, 14
# An axis that begins this near to zero begins at zero.
_NEAR_ZERO = 0.05


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often values lie where.

    Attributes:
        edges: Of the bins, ascending, one more than `counts`.
        counts: Values in each bin.
    """

    edges: tuple[float, ...]
    counts: tuple[float, ...]

    def quantile(self, share: float) -> float:
        """Return the value that a share of all values lies below, linear inside a bin."""
        left = share * sum(self.counts)
        for low, high, count in zip(self.edges, self.edges[1:], self.counts, strict=False):
            if count and left <= count:
                return low + (high - low) * left / count
            left -= count
        return self.edges[-1]


@dataclass(frozen=True, slots=True)
class Ridge:
    """One layer.

    Attributes:
        name: Of the layer.
        before: At the start; None where it is not known.
        after: After the run; None where it is not known.
        says: What stands at its end ("30 % dead"), empty for nothing.
        is_bad: What it says is beyond its limit.
    """

    name: str
    before: Histogram | None
    after: Histogram | None
    says: str = ""
    is_bad: bool = False

    @property
    def told(self) -> str:
        """The layer in words."""
        parts = [f"{when} {_middle(found)}" for when, found in
                 (("at the start", self.before), ("after the run", self.after)) if found]
        return "; ".join([f"{self.name}: {', '.join(parts)}", *([self.says] if self.says else [])])


@dataclass(frozen=True, slots=True)
class Ridges:
    """The layers on one axis; heights are square roots of densities, so that tails show."""

    title: str
    says: str
    x_name: str
    axis: Axis
    rows: tuple[Ridge, ...]

    def svg(self, ident: str) -> str:
        """Return the ridges as an `<svg>` element; `ident` is unique on the page."""
        floor = _TOP + _PEAK - _ROW + _ROW * len(self.rows)
        parts = [*self._grid(floor)]
        for position, row in enumerate(self.rows):
            parts += self._ridge(row, _TOP + _PEAK + _ROW * position)
        head = opening(ident, self.title, self.says, floor + _BOTTOM)
        return f"{head}{''.join(parts)}</svg>"

    def _across(self, value: float) -> float:
        inside = min(max(value, self.axis.low), self.axis.high)
        return round(_LABELS + self.axis.place(inside) * (WIDTH - _LABELS - _VALUES), 1)

    def _grid(self, floor: float) -> Iterator[str]:
        for value, words in self.axis.ticks():
            x = self._across(value)
            yield (f'<line class="grid" stroke="{GRID}" x1="{x}" x2="{x}" y1="{_TOP}" '
                   f'y2="{floor}"/>{label(x, floor + 16, words, "tick", "middle")}')
        yield label((_LABELS + WIDTH - _VALUES) / 2, floor + 35, self.x_name, "name", "middle")
        has_both = any(row.before and row.after for row in self.rows)
        yield label(_LABELS, 14, "filled: after the run; dashed: at the start" if has_both else
                    "after the run" if any(row.after for row in self.rows) else "at the start")

    def _ridge(self, row: Ridge, base: float) -> Iterator[str]:
        color = "red" if row.is_bad else "blue"
        filled = row.after or row.before
        if filled:
            yield (f'<path class="f-{color} s-{color}" fill="{PALETTE[color]}" '
                   f'fill-opacity="0.3" stroke="{PALETTE[color]}" '
                   f'd="M{self._outline(filled, base)}Z">{hover(row.told)}</path>')
        if row.before and row.after:
            yield (f'<path class="s-grey" fill="none" stroke="{PALETTE["grey"]}" '
                   f'stroke-dasharray="3 2" d="M{self._outline(row.before, base)}"/>')
        yield label(_LABELS - 8, base, cut(row.name, _LETTERS), "name", "end")
        # A mark beside the colour, for those who cannot tell it.
        words = cut(f"{row.says} ✕" if row.is_bad else row.says, _SHORT_LETTERS)
        yield label(WIDTH - _VALUES + 8, base, words, "bad" if row.is_bad else "tick")

    def _outline(self, found: Histogram, base: float) -> str:
        points = [(self._across(found.edges[0]), base)]
        density = [count / ((high - low) or 1.0) for low, high, count in
                   zip(found.edges, found.edges[1:], found.counts, strict=False)]
        peak = max(density, default=0.0) or 1.0
        for low, high, value in zip(found.edges, found.edges[1:], density, strict=False):
            if high >= self.axis.low and low <= self.axis.high:
                height = (value / peak) ** 0.5 * _PEAK
                points.append((self._across((low + high) / 2), round(base - height, 1)))
        points.append((self._across(found.edges[-1]), base))
        return "L".join(f"{x:g} {y:g}" for x, y in points)


def shared_axis(rows: Sequence[Ridge]) -> Axis:
    """Return an axis that holds all but the outermost hundredths of every layer's values."""
    found = [h for row in rows for h in (row.before, row.after) if h]
    low = min(h.quantile(0.005) for h in found)
    high = max(h.quantile(0.995) for h in found)
    if 0 < low < _NEAR_ZERO * high:
        low = 0.0
    return Axis(low, high) if low < high else Axis(low - 0.5, low + 0.5)


def _middle(found: Histogram) -> str:
    low, middle, high = (number(found.quantile(share)) for share in (0.05, 0.5, 0.95))
    return f"median {middle}, nine in ten from {low} to {high}"
