"""Which series become which charts, with their values as tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from auditor.finding import Evidence
from auditor.observation import Series
from auditor.report import Report

from .charts import COLORS, Band, Chart, Line
from .legends import bands_of, legend_of, limits_of, line_name, marks_of
from .scales import Axis, axis_for, is_drawable
from .shapes import Drawing
from .wording import number, prose

_MOST_ROWS = 60
_DEPTHS = ("layer", "depth")
# Lines whose name says what they are for: colour, and whether they are dashed.
_ROLES: Mapping[str, tuple[str, bool]] = {
    "as it is": ("grey", True), "mended": ("green", False),
    "theory": ("grey", True), "measured": ("blue", False),
    "first step": ("grey", True), "last step": ("blue", False),
    "start": ("grey", True), "end": ("blue", False),
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawing, the remarks below it and its values.

    Attributes:
        chart: What is drawn.
        remarks: What the reader has to know about it.
        head: Of the table of values.
        rows: Of the table of values.
    """

    chart: Drawing
    remarks: tuple[str, ...]
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Values that need no drawing."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def pictures_of(
    report: Report, series: Iterable[Series], evidence: Sequence[Evidence] = (),
) -> list[Picture]:
    """Return one picture per name of a series, its labels as lines, in the order given.

    Args:
        report: Tells the rate in use, the names of the layers and the limits of rules.
        series: What to draw.
        evidence: Limits of a measurement that a series is named after are drawn across.
    """
    groups: dict[tuple[str, str], list[Series]] = {}
    for one in series:
        if one.x and one.y:
            groups.setdefault((one.name, one.x_unit), []).append(one)
    return [_picture(report, group, evidence) for group in groups.values()]


def _picture(report: Report, group: list[Series], evidence: Sequence[Evidence]) -> Picture:
    drawn = _drawn(group, {item.layer for item in evidence if item.layer})
    chart = _chart(report, drawn, evidence)
    stride = math.ceil(len({x for one in drawn for x in one.x}) / _MOST_ROWS)
    head, rows = _values(chart, drawn, stride)
    remarks = _remarks(chart, group, drawn)
    if stride > 1:
        remarks += (f"The table holds one value in {stride}.",)
    return Picture(chart, remarks, head, rows)


def _chart(report: Report, drawn: list[Series], evidence: Sequence[Evidence]) -> Chart:
    first = drawn[0]
    name = prose(first.name.replace("_", " "))
    x_name, y_name = prose(first.x_unit) or "x", prose(first.y_unit) or name
    limits = limits_of(report, first.name, evidence)
    marks = marks_of(report, first.name, x_name)
    bands = bands_of(report, first.name)
    values = [value for one in drawn for value in one.y]
    heights = values + [value for value, _ in limits] + _edges(bands, values)
    x = axis_for([x for one in drawn for x in one.x] + [x for x, _ in marks], x_name)
    y = axis_for(heights, f"{name} {y_name}", is_padded=True)
    return Chart(
        title=legend_of(first.name).title or f"{name} by {x_name}",
        says="; ".join(_said(one, x_name) for one in drawn),
        x=x, y=y, x_name=x_name, y_name=y_name,
        lines=_lines(report, drawn, x),
        limits=tuple(limit for limit in limits if y.has(limit[0])),
        marks=tuple(mark for mark in marks if x.has(mark[0])),
        places=places_of(report, first),
        bands=bands,
    )


def _edges(bands: Sequence[Band], values: Sequence[float]) -> list[float]:
    """Return the ends of the bands that have to be in sight: no further than a decade away."""
    known = [value for value in values if is_drawable(value)]
    found: list[float] = []
    for band in bands:
        if not band.is_across and known:
            near = [min(known) / 10, max(known) * 10] if band.low > 0 < min(known) else []
            found += [max(band.low, *near[:1]), min(band.high, *near[1:])] if near else [
                band.low, band.high]
    return found


def _lines(report: Report, drawn: list[Series], x_axis: Axis) -> tuple[Line, ...]:
    names = [line_name(report, one.name, _name(one)) for one in drawn]
    points = [tuple(p for p in zip(one.x, one.y, strict=False) if x_axis.has(p[0]))
              for one in drawn]
    looks = [_ROLES.get(one.label, ("", False)) if len(drawn) > 1 else ("", False)
             for one in drawn]
    return tuple(Line(name, short, line, *look) for name, short, line, look in
                 zip(names, _shortened(names), points, looks, strict=True))


def _name(series: Series) -> str:
    return prose(series.label) or prose(series.name)


def _shortened(names: list[str]) -> list[str]:
    """Return the names without the path that all of them begin or end with."""
    if any(name[:1].isdigit() and "." in name for name in names):
        return names
    parts = [name.split(".") for name in names]
    shortest = min(map(len, parts))
    same = [len({tuple(p[:n]) for p in parts}) == 1 for n in range(shortest)]
    start = sum(same) - 1
    ends = [len({tuple(p[len(p) - n:]) for p in parts}) == 1 for n in range(shortest - start)]
    stop = sum(ends) - 1
    return [".".join(p[start: len(p) - stop]) for p in parts]


def _drawn(group: list[Series], named: set[str]) -> list[Series]:
    """Return as many lines as can be told apart: those that the finding names come first."""
    first = [one for one in group if one.label in named][: len(COLORS)]
    others = [one for one in group if one not in first]
    room = len(COLORS) - len(first)
    if len(others) > room:
        # Over the whole depth of the model, its ends included.
        last = len(others) - 1
        others = [others[round(i * last / max(room - 1, 1))] for i in range(room)]
    return first + others


def places_of(report: Report, series: Series) -> dict[float, str]:
    """Return the names of the layers along an axis of depth, which a table beside it lists."""
    if series.x_unit not in _DEPTHS:
        return {}
    for names in _layer_lists(report, series):
        if len(names) == len(series.x):
            return dict(zip(series.x, map(prose, names), strict=True))
    return {}


def _layer_lists(report: Report, series: Series) -> list[list[str]]:
    """Return the lists of layers beside a series, the one that its name leads to first."""
    known = legend_of(series.name).layers
    found = [(name, [str(item) for item in value])
             for seen in report.observations if series in seen.series
             for name, value in seen.tables.items()
             if name.endswith("layers") and isinstance(value, list)]
    return [names for _, names in sorted(found, key=lambda pair: (
        pair[0] != known, pair[0].removesuffix("_layers") not in series.name))]


def _said(series: Series, x_name: str) -> str:
    finite = [(y, x) for x, y in zip(series.x, series.y, strict=False) if is_drawable(y)]
    ends = f"{number(series.y[0])} to {number(series.y[-1])}"
    lowest = ""
    if finite:
        y, x = min(finite)
        lowest = f", lowest {number(y)} at {x_name} {number(x)}"
    return f"{_name(series)}: {ends}{lowest}"


def _remarks(chart: Chart, group: list[Series], drawn: list[Series]) -> tuple[str, ...]:
    points = [y for one in drawn for y in one.y]
    remarks = []
    if not all(map(is_drawable, points)):
        remarks.append("Crosses at the top: the run diverged.")
    if any(is_drawable(y) and not chart.y.has(y) for y in points):
        remarks.append("Crosses at the bottom: zero, which a log axis cannot show.")
    if len(drawn) < len(group):
        remarks.append(f"{len(drawn)} of {len(group)} lines are drawn.")
    return tuple(remarks)


def _values(
    chart: Chart, drawn: list[Series], stride: int,
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    columns = [dict(zip(one.x, one.y, strict=False)) for one in drawn]
    positions = sorted({x for one in drawn for x in one.x})
    rows = tuple(
        (chart.place(x), *(number(column[x]) if x in column else "" for column in columns))
        for x in positions[::stride])
    return (chart.x_name, *(line.name for line in chart.lines)), rows
