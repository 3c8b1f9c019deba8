"""Bars over seeds as SVG: solid up to the lowest seed, pale up to the highest."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from .trials import Bar
from .wording import visible

_LABELS, _BARS, _VALUES = 110, 340, 110
_ROW, _HEIGHT = 22, 13
_COLORS = {"as it is": "#5b616b", "without this": "#b7791f", "only this": "#0072b2"}
_ALL = "#00805c"


def bars_svg(bars: Sequence[Bar], measure: str, ident: str) -> str:
    """Return the bars as an `<svg>` element; `ident` is unique on the page."""
    low = min(0.0, *(bar.low for bar in bars))
    high = max(bar.high for bar in bars)
    scale = _BARS / ((high - low) or 1.0)
    said = escape(visible("; ".join(f"{bar.label} {bar.says}" for bar in bars)))
    width, height = _LABELS + _BARS + _VALUES, _ROW * len(bars)
    rows = "".join(_row(bar, _ROW * position, low, scale) for position, bar in enumerate(bars))
    return (f'<svg class="chart" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'role="img" aria-labelledby="{ident}-t {ident}-d" '
            'font-family="system-ui,sans-serif" font-size="12">'
            f'<title id="{ident}-t">{escape(visible(measure))}</title>'
            f'<desc id="{ident}-d">{said}</desc>{rows}</svg>')


def _row(bar: Bar, top: int, low: float, scale: float) -> str:
    color = _COLORS.get(bar.label, _ALL)
    solid, pale = scale * (bar.low - low), scale * (bar.high - bar.low)
    text = f'y="{top + 15}" fill="#5b616b" class="label"'
    return (
        f'<text x="0" {text}>{escape(visible(bar.label))}</text>'
        + _rect(_LABELS, top, solid, color, 1.0) + _rect(_LABELS + solid, top, pale, color, 0.35)
        + f'<text x="{_LABELS + solid + pale + 6:.1f}" {text}>{escape(visible(bar.says))}</text>')


def _rect(x: float, top: int, width: float, color: str, opacity: float) -> str:
    return (f'<rect x="{x:.1f}" y="{top + 4}" width="{width:.1f}" height="{_HEIGHT}" '
            f'fill="{color}" fill-opacity="{opacity:g}"/>')
