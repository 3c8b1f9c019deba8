"""Line charts as SVG that needs neither script nor style sheet.

Colours are presentation attributes, so that a page under a strict policy shows the chart; classes
let the style sheet recolour it for a dark page. Text has a halo, so that lines may cross it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from .scales import Axis, is_drawable
from .wording import number, visible

WIDTH, HEIGHT = 680, 260
_TOP, _BOTTOM, _LEFT, _RIGHT = 14, 44, 62, 16
_NAMES_LETTERS = 84
_LABEL_ROOM, _LABEL_LETTERS, _LABEL_HEIGHT = 130, 20, 13
_MOST_POINTS, _FEW_POINTS = 300, 24
COLORS = ("#0072b2", "#c8401c", "#00805c", "#8a5a0b", "#7a4a9c", "#3f6f7f", "#9c3d6e", "#5d6b1f")
_DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 4", "12 4", "1 4", "6 2 1 2")
_RED, _MUTED, _DARK, _GRID = "#c8401c", "#5b616b", "#33383f", "#d8dbe0"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart.

    Attributes:
        name: What it is.
        short: What stands at its end.
        points: Pairs of x and y; where y cannot be placed the line breaks and gets a mark.
    """

    name: str
    short: str
    points: tuple[tuple[float, float], ...]


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

    def place(self, x: float) -> str:
        """Return the name of a position, else its number."""
        return self.places.get(x) or number(x)


def svg(chart: Chart, ident: str) -> str:
    """Return the chart as an `<svg>` element; `ident` is unique on the page."""
    frame = _Frame(chart)
    series = [[line.name, [[frame.across(x), frame.up(y), chart.place(x), number(y)]
                           for x, y in thinned(line.points) if chart.y.has(y)]]
              for line in chart.lines]
    data = escape(json.dumps(series, separators=(",", ":"), ensure_ascii=False), quote=True)
    head = (
        f'<svg class="chart" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'role="img" aria-labelledby="{ident}-t {ident}-d" font-family="system-ui,sans-serif" '
        f'font-size="11.5" data-x="{_text(chart.x_name)}" data-series="{data}">'
        f'<title id="{ident}-t">{_text(chart.title)}</title>'
        f'<desc id="{ident}-d">{_text(chart.says)}</desc>'
    )
    parts = (*_axes(frame), *_limits(frame), *_marks(frame), *_lines(frame), *_names(frame))
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

    def across(self, value: float) -> float:
        return round(_LEFT + self.chart.x.place(value) * (self.right - _LEFT), 1)

    def up(self, value: float) -> float:
        return round(self.floor - self.chart.y.place(value) * (self.floor - _TOP), 1)


def _axes(frame: _Frame) -> Iterator[str]:
    chart = frame.chart
    for value, label in chart.y.ticks():
        y = frame.up(value)
        yield (f'<line class="grid" stroke="{_GRID}" x1="{_LEFT}" x2="{frame.right}" y1="{y}" '
               f'y2="{y}"/>{_label(_LEFT - 7, y + 4, label, "tick", _MUTED, "end")}')
    for value, label in _across(chart):
        yield _label(frame.across(value), frame.floor + 17, label, "tick", _MUTED, "middle")
    middle = (_LEFT + frame.right) / 2
    yield _label(middle, HEIGHT - 8, _scaled(chart.x_name, chart.x), "name", _DARK, "middle")
    center = (_TOP + frame.floor) / 2
    yield (f'<text class="name" fill="{_DARK}" text-anchor="middle" '
           f'transform="translate(14 {center}) rotate(-90)">'
           f'{_text(_scaled(chart.y_name, chart.y))}</text>')


def _across(chart: Chart) -> list[tuple[float, str]]:
    """Return the ticks across: the names of the positions where they have room, else numbers."""
    ticks = chart.x.ticks()
    names = [(value, chart.places.get(value, "")) for value, _ in ticks]
    has_room = sum(len(name) + 2 for _, name in names) <= _NAMES_LETTERS
    return names if chart.places and has_room else ticks


def _limits(frame: _Frame) -> Iterator[str]:
    for value, words in frame.chart.limits:
        y = frame.up(value)
        yield (f'<line class="limit" stroke="{_RED}" stroke-dasharray="4 3" x1="{_LEFT}" '
               f'x2="{frame.right}" y1="{y}" y2="{y}"/>'
               f'{_halo(_LEFT + 6, max(y - 5, _TOP + 10), words, "bad", _RED)}')


def _marks(frame: _Frame) -> Iterator[str]:
    for value, words in frame.chart.marks:
        x = frame.across(value)
        # The words stand on the side that has more room.
        is_left = x > (_LEFT + frame.right) / 2
        anchor, beside = ("end", x - 5) if is_left else ("start", x + 5)
        yield (f'<line class="mark" stroke="{_DARK}" stroke-dasharray="4 3" x1="{x}" x2="{x}" '
               f'y1="{_TOP}" y2="{frame.floor}"/>'
               f'{_halo(round(beside, 1), frame.floor - 6, words, "name", _DARK, anchor)}')


def _lines(frame: _Frame) -> Iterator[str]:
    for position, line in enumerate(frame.chart.lines):
        color, points = COLORS[position], thinned(line.points)
        dash = f' stroke-dasharray="{_DASHES[position]}"' if position else ""
        for run in _runs(frame.chart.y, points):
            path = " ".join(f"{frame.across(x)},{frame.up(y)}" for x, y in run)
            yield (f'<polyline class="s{position}" fill="none" stroke="{color}" stroke-width="2"'
                   f'{dash} stroke-linejoin="round" points="{path}"/>')
            if len(points) <= _FEW_POINTS or len(run) == 1:
                yield from (f'<circle class="f{position}" fill="{color}" r="3" '
                            f'cx="{frame.across(x)}" cy="{frame.up(y)}"/>' for x, y in run)
        yield from (_mark(frame, x, y) for x, y in points if not frame.chart.y.has(y))


def _mark(frame: _Frame, x: float, y: float) -> str:
    """Return a cross at the top for a diverged point, at the floor for zero on a log axis."""
    height = frame.floor - 6 if is_drawable(y) or y < 0 else _TOP + 6
    words = "diverged" if not is_drawable(y) else "zero or below"
    return (f'<path class="cross" stroke="{_RED}" stroke-width="2" fill="none" '
            f'd="M{frame.across(x) - 4} {height - 4}l8 8m0-8l-8 8">'
            f"<title>{_text(frame.chart.place(x))}: {words}</title></path>")


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
        short = frame.chart.lines[index].short
        cut = short if len(short) <= _LABEL_LETTERS else f"{short[:_LABEL_LETTERS - 1]}…"
        yield _halo(frame.right + 6, round(y + 4, 1), cut, f"f{index}", COLORS[index])


def _runs(axis: Axis, points: Sequence[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    runs: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if axis.has(point[1]):
            runs[-1].append(point)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _halo(
    x: float, y: float, words: str, kind: str, fill: str, anchor: str = "start",
) -> str:
    return (f'<text class="halo {kind}" paint-order="stroke" stroke="#fff" stroke-width="3" '
            f'stroke-linejoin="round" fill="{fill}" text-anchor="{anchor}" x="{x}" y="{y}">'
            f"{_text(words)}</text>")


def _label(x: float, y: float, words: str, kind: str, fill: str, anchor: str) -> str:
    return (f'<text class="{kind}" fill="{fill}" text-anchor="{anchor}" x="{x}" '
            f'y="{round(y, 1)}">{_text(words)}</text>')


def _scaled(name: str, axis: Axis) -> str:
    return f"{name} (log)" if axis.is_log else name


def _up(point: tuple[float, float]) -> float:
    return point[1]


def _text(words: str) -> str:
    return escape(visible(words), quote=True)
