"""Line charts as SVG that needs neither script nor style sheet."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .scales import Axis, is_drawable
from .shapes import GRID, PALETTE, WIDTH, cut, halo, label, opening, quoted, text
from .wording import number

HEIGHT = 250
_TOP, _BOTTOM, _LEFT, _RIGHT = 14, 44, 64, 16
_LABEL_ROOM, _LABEL_LETTERS, _LABEL_HEIGHT = 122, 17, 15
_LETTER = 7.2
_MOST_POINTS, _FEW_POINTS = 300, 24
COLORS = ("blue", "red", "green", "amber", "violet", "teal", "rose", "olive")
_DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 4", "12 4", "1 4", "6 2 1 2")
_RED, _DARK = PALETTE["red"], "#33383f"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart.

    Attributes:
        name: What it is.
        short: What stands at its end.
        points: Pairs of x and y; where y cannot be placed the line breaks and gets a mark.
        color: Of the palette; empty for the next one of `COLORS`, dashed from the second line on.
        is_dashed: Where a colour is given.
    """

    name: str
    short: str
    points: tuple[tuple[float, float], ...]
    color: str = ""
    is_dashed: bool = False


@dataclass(frozen=True, slots=True)
class Band:
    """A range of values that is fine.

    Attributes:
        low, high: Where it begins and ends; infinite where it does not.
        words: What it is.
        is_across: It is a range of x, not of y.
    """

    low: float
    high: float
    words: str
    is_across: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """What is drawn.

    Attributes:
        title: Its name for readers who do not see it.
        says: Its result in words.
        x: The axis across, named `x_name`.
        y: The axis up, named `y_name`.
        lines: At most as many as there are `COLORS`.
        limits: Values of y with the words beside them, drawn as lines across.
        marks: Values of x with the words beside them, drawn as lines up.
        places: What stands at a value of x, where it has a name ("fc1" at depth 3).
        bands: Ranges that are fine, shaded.
    """

    title: str
    says: str
    x: Axis
    y: Axis
    x_name: str
    y_name: str
    lines: tuple[Line, ...]
    limits: tuple[tuple[float, str], ...] = ()
    marks: tuple[tuple[float, str], ...] = ()
    places: Mapping[float, str] = field(default_factory=dict)
    bands: tuple[Band, ...] = ()

    def place(self, x: float) -> str:
        """Return the name of a position, else its number."""
        return self.places.get(x) or number(x)

    def svg(self, ident: str) -> str:
        """Return the chart as an `<svg>` element; `ident` is unique on the page."""
        return svg(self, ident)


def svg(chart: Chart, ident: str) -> str:
    """Return the chart as an `<svg>` element; `ident` is unique on the page."""
    frame = _Frame(chart)
    series = [[line.name, [[frame.across(x), frame.up(y), chart.place(x), number(y)]
                           for x, y in thinned(line.points) if chart.y.has(y)]]
              for line in chart.lines]
    packed = json.dumps(series, separators=(",", ":"), ensure_ascii=False)
    data = (f' data-x="{text(chart.x_name)}" data-frame="{_TOP} {frame.floor}" '
            # In single quotes: it is full of double ones.
            f"data-series='{quoted(packed)}'")
    parts = (*_bands(frame), *_axes(frame), *_limits(frame), *_lines(frame), *_marks(frame),
             *_names(frame), *_band_words(frame))
    head = opening(ident, chart.title, chart.says, HEIGHT, data)
    return f"{head}{''.join(parts)}</svg>"


def thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return at most `_MOST_POINTS`: the extremes of each stretch, and every break."""
    if len(points) <= _MOST_POINTS:
        return list(points)
    count = _MOST_POINTS // 2
    edges = [round(i * len(points) / count) for i in range(count + 1)]
    kept: list[tuple[float, float]] = []
    for start, end in zip(edges, edges[1:], strict=False):
        stretch = points[start:end]
        broken = next((p for p in stretch if not is_drawable(p[1])), None)
        chosen = {broken} if broken else {min(stretch, key=_up), max(stretch, key=_up)}
        kept += sorted(chosen)
    return kept


class _Frame:
    """Turns values into pixels."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self.right = WIDTH - (_LABEL_ROOM if len(chart.lines) > 1 else _RIGHT)
        self.floor = HEIGHT - _BOTTOM
        self.has_low_lines = _has_low_lines(chart)

    def across(self, value: float) -> float:
        return round(_LEFT + self.chart.x.place(value) * (self.right - _LEFT), 1)

    def up(self, value: float) -> float:
        return round(self.floor - self.chart.y.place(value) * (self.floor - _TOP), 1)

    def box(self, band: Band) -> tuple[float, float, float, float] | None:
        """Return left, top, width and height of a band; None where the chart does not show it."""
        axis = self.chart.x if band.is_across else self.chart.y
        low, high = max(band.low, axis.low), min(band.high, axis.high)
        if not low < high:
            return None
        if band.is_across:
            left = self.across(low)
            return left, _TOP, round(self.across(high) - left, 1), self.floor - _TOP
        top = self.up(high)
        return _LEFT, top, self.right - _LEFT, round(self.up(low) - top, 1)


def _bands(frame: _Frame) -> Iterator[str]:
    for band in frame.chart.bands:
        box = frame.box(band)
        if box:
            left, top, width, height = box
            yield (f'<rect class="band f-green" fill="{PALETTE["green"]}" fill-opacity="0.12" '
                   f'x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}"/>')


def _band_words(frame: _Frame) -> Iterator[str]:
    for band in frame.chart.bands:
        box = frame.box(band)
        if box and box[2] > _LETTER * len(band.words):
            height = frame.floor - 6 if band.is_across and frame.has_low_lines else box[1] + 13
            yield halo(round(box[0] + 5, 1), round(height, 1), band.words, "good")


def _axes(frame: _Frame) -> Iterator[str]:
    chart = frame.chart
    for value, words in chart.y.ticks():
        y = frame.up(value)
        yield (f'<line class="grid" stroke="{GRID}" x1="{_LEFT}" x2="{frame.right}" y1="{y}" '
               f'y2="{y}"/>{label(_LEFT - 7, y + 4, words, "tick", "end")}')
    for value, words in _across(frame):
        yield label(frame.across(value), frame.floor + 17, words, "tick", "middle")
    middle = (_LEFT + frame.right) / 2
    yield label(middle, HEIGHT - 8, _scaled(chart.x_name, chart.x), "name", "middle")
    center = (_TOP + frame.floor) / 2
    yield (f'<text class="name" fill="{_DARK}" text-anchor="middle" '
           f'transform="translate(14 {center:g}) rotate(-90)">'
           f'{text(_scaled(chart.y_name, chart.y))}</text>')


def _across(frame: _Frame) -> list[tuple[float, str]]:
    """Return the ticks across: the names of the positions where they have room, else numbers."""
    chart = frame.chart
    ticks = chart.x.ticks()
    names = [(value, chart.places.get(value, "")) for value, _ in ticks]
    room = (frame.right - _LEFT) / _LETTER
    return names if chart.places and sum(len(name) + 2 for _, name in names) <= room else ticks


def _limits(frame: _Frame) -> Iterator[str]:
    for value, words in frame.chart.limits:
        y = frame.up(value)
        yield (f'<line class="limit" stroke="{_RED}" stroke-dasharray="4 3" x1="{_LEFT}" '
               f'x2="{frame.right}" y1="{y}" y2="{y}"/>'
               f'{halo(_LEFT + 6, max(y - 5, _TOP + 10), words, "bad")}')


def _marks(frame: _Frame) -> Iterator[str]:
    marks = sorted(frame.chart.marks)
    for position, (value, words) in enumerate(marks):
        x, room = frame.across(value), 5 + _LETTER * len(words)
        # Away from the neighbour, so that no words cross its line; alone, where there is more room.
        wants_left = position == 0 if len(marks) > 1 else x > (_LEFT + frame.right) / 2
        is_left = x - room > _LEFT if wants_left else x + room > frame.right
        anchor, beside = ("end", x - 5) if is_left else ("start", x + 5)
        lower = _LABEL_HEIGHT * position
        height = _TOP + 11 + lower if frame.has_low_lines else frame.floor - 6 - lower
        yield (f'<line class="mark" stroke="{_DARK}" stroke-dasharray="4 3" x1="{x}" x2="{x}" '
               f'y1="{_TOP}" y2="{frame.floor}"/>'
               f'{halo(round(beside, 1), height, words, "name", anchor)}')


def _has_low_lines(chart: Chart) -> bool:
    """Tell whether the lines lie in the lower half where the marks are."""
    places = []
    for mark, _ in chart.marks:
        for line in chart.lines:
            near = [point for point in line.points if chart.y.has(point[1])]
            if near:
                at = chart.x.place(mark)
                closest = min(near, key=lambda p: abs(chart.x.place(p[0]) - at))
                places.append(chart.y.place(closest[1]))
    return bool(places) and sum(places) / len(places) < 0.5


def _look(line: Line, position: int) -> tuple[str, str]:
    """Return the colour of a line and the attribute that dashes it."""
    dash = _DASHES[1] if line.is_dashed else "" if line.color else _DASHES[position]
    return line.color or COLORS[position], f' stroke-dasharray="{dash}"' if dash else ""


def _lines(frame: _Frame) -> Iterator[str]:
    for position, line in enumerate(frame.chart.lines):
        (color, dash), points = _look(line, position), thinned(line.points)
        for run in _runs(frame.chart.y, points):
            path = " ".join(f"{frame.across(x)},{frame.up(y)}" for x, y in run)
            yield (f'<polyline class="s-{color}" fill="none" stroke="{PALETTE[color]}" '
                   f'stroke-width="2"{dash} stroke-linejoin="round" points="{path}"/>')
            if len(points) <= _FEW_POINTS or len(run) == 1:
                yield from (f'<circle class="f-{color}" fill="{PALETTE[color]}" r="3" '
                            f'cx="{frame.across(x)}" cy="{frame.up(y)}"/>' for x, y in run)
        yield from (_mark(frame, x, y) for x, y in points if not frame.chart.y.has(y))


def _mark(frame: _Frame, x: float, y: float) -> str:
    """Return a cross at the top for a diverged point, at the floor for zero on a log axis."""
    height = frame.floor - 6 if is_drawable(y) or y < 0 else _TOP + 6
    words = "diverged" if not is_drawable(y) else "zero or below"
    return (f'<path class="cross" stroke="{_RED}" stroke-width="2" fill="none" '
            f'd="M{frame.across(x) - 4} {height - 4}l8 8m0-8l-8 8">'
            f"<title>{text(frame.chart.place(x))}: {words}</title></path>")


def _names(frame: _Frame) -> Iterator[str]:
    """Write each line's name at its end, pushed apart so that none lies on another."""
    if len(frame.chart.lines) < 2:
        return
    ends = [(frame.up(last), position) for position, line in enumerate(frame.chart.lines)
            if (last := next((y for _, y in reversed(line.points) if frame.chart.y.has(y)), None))
            is not None]
    lowest = float(_TOP)
    for position, (wanted, index) in enumerate(sorted(ends)):
        left = len(ends) - position - 1
        y = min(max(wanted, lowest), frame.floor - left * _LABEL_HEIGHT)
        lowest = y + _LABEL_HEIGHT
        line = frame.chart.lines[index]
        color, _ = _look(line, index)
        yield halo(frame.right + 6, round(y + 4, 1), cut(line.short, _LABEL_LETTERS), color)


def _runs(axis: Axis, points: Sequence[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    runs: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if axis.has(point[1]):
            runs[-1].append(point)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _scaled(name: str, axis: Axis) -> str:
    return f"{name} (log)" if axis.is_log else name


def _up(point: tuple[float, float]) -> float:
    return point[1]
