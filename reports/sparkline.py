"""A series as one line of block characters."""

from __future__ import annotations

import math
from collections.abc import Sequence

from auditor.observation import Series

from .scales import is_drawable
from .wording import number, prose

BLOCKS = "▁▂▃▄▅▆▇█"
_ASCII = "_.-~=+*#"
_MOST = 40
_DECADES_FOR_LOG = 2.0


def sparkline(series: Series, ascii_only: bool = False) -> str:
    """Return the shape of a series and its ends: "█▃▁  loss: 2.3 to 0.41 over step 0 to 60".

    Points that are not finite become crosses: a run that diverged is not drawn as a number.
    """
    levels, cross = (_ASCII, "x") if ascii_only else (BLOCKS, "×")
    values = _thinned(series.y)
    finite = [v for v in values if is_drawable(v)]
    if not finite:
        return ""
    is_log = min(finite) > 0 and math.log10(max(finite) / min(finite)) > _DECADES_FOR_LOG
    scaled = [math.log10(v) if is_log and is_drawable(v) else v for v in values]
    marks = "".join(_mark(v, scaled, levels, cross) for v in scaled)
    name = ", ".join(prose(part) for part in (series.name.replace("_", " "), series.label) if part)
    ends = f"{number(series.y[0])} to {number(series.y[-1])}"
    span = f" over {prose(series.x_unit) or 'x'} {number(series.x[0])} to {number(series.x[-1])}"
    scale = ", log scale" if is_log else ""
    lost = "" if len(finite) == len(values) else f" ({cross} diverged)"
    return f"{marks}  {name}: {ends}{span}{scale}{lost}"


def compared(curves: Sequence[Series], ascii_only: bool = False) -> str:
    """Return the first kind of curve on one scale: "▁▂▃ as it is, ▁▅█ mended (accuracy)"."""
    levels, cross = (_ASCII, "x") if ascii_only else (BLOCKS, "×")
    pair = [one for one in curves if one.name == curves[0].name]
    values = [_thinned(one.y) for one in pair]
    every = [value for found in values for value in found if is_drawable(value)]
    if len(pair) < 2 or not every:
        return ""
    told = ", ".join("".join(_mark(v, every, levels, cross) for v in found) + f" {prose(one.label)}"
                     for one, found in zip(pair, values, strict=True))
    return f"{told} ({prose(pair[0].y_unit)}, {number(min(every))} to {number(max(every))})"


def _thinned(values: Sequence[float]) -> list[float]:
    """Return at most `_MOST` values: the last of each bucket, or NaN where one diverged."""
    if len(values) <= _MOST:
        return list(values)
    edges = [round(i * len(values) / _MOST) for i in range(_MOST + 1)]
    buckets = (values[a:b] for a, b in zip(edges, edges[1:], strict=False))
    return [b[-1] if all(map(is_drawable, b)) else math.nan for b in buckets]


def _mark(value: float, scaled: Sequence[float], levels: str, cross: str) -> str:
    if not is_drawable(value):
        return cross
    finite = [v for v in scaled if is_drawable(v)]
    low, span = min(finite), max(finite) - min(finite)
    share = (value - low) / span if span else 0.0
    return levels[min(int(share * len(levels)), len(levels) - 1)]

