"""Samples as small grey pictures, drawn as boxes: a page under a strict policy shows no images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from .shapes import WIDTH, hover, label, opening

_PER_ROW, _SIDE, _WORDS = 4, 112, 52
_LEVELS = 15


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """One sample.

    Attributes:
        pixels: Rows of brightness, from 0 to 1.
        lines: What stands below it, two at most.
    """

    pixels: tuple[tuple[float, ...], ...]
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """Samples side by side."""

    title: str
    says: str
    samples: tuple[Thumbnail, ...]

    def svg(self, ident: str) -> str:
        """Return the samples as an `<svg>` element; `ident` is unique on the page."""
        rows = -(-len(self.samples) // _PER_ROW)
        parts: list[str] = []
        for position, sample in enumerate(self.samples):
            row, column = divmod(position, _PER_ROW)
            parts += _sample(sample, column * WIDTH / _PER_ROW, row * (_SIDE + _WORDS))
        head = opening(ident, self.title, self.says, rows * (_SIDE + _WORDS))
        return f"{head}{''.join(parts)}</svg>"


def _sample(sample: Thumbnail, left: float, top: float) -> Iterator[str]:
    height, width = len(sample.pixels), max(map(len, sample.pixels))
    size = round(_SIDE / max(height, width), 2)
    yield (f'<g transform="translate({left:g} {top:g}) scale({size:g})" '
           f'shape-rendering="crispEdges">{hover("; ".join(sample.lines))}'
           f'<rect fill="#000" width="{width}" height="{height}"/>')
    for level, runs in sorted(_runs(sample.pixels).items()):
        yield f'<path fill="#{level:x}{level:x}{level:x}" d="{"".join(runs)}"/>'
    yield "</g>"
    for position, words in enumerate(sample.lines):
        yield label(left, top + _SIDE + 16 + 16 * position, words)


def _runs(pixels: Sequence[Sequence[float]]) -> dict[int, list[str]]:
    """Return the stretches of equal brightness, as paths, by level; black ones are left out."""
    found: dict[int, list[str]] = {}
    for y, row in enumerate(pixels):
        x = 0
        for level, run in groupby(round(_LEVELS * min(max(v, 0.0), 1.0)) for v in row):
            length = len(list(run))
            if level:
                found.setdefault(level, []).append(f"M{x} {y}h{length}v1h-{length}z")
            x += length
    return found
