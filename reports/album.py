"""The pictures of a Markdown report: SVG files beside it, else lines of block characters."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from importlib.resources import files

from auditor.finding import Evidence
from auditor.jointtrial import JointTrial
from auditor.observation import Series
from auditor.report import Report

from .bars import Bar, bars_svg
from .gfm import fence, folded, image, inline
from .pictures import Picture, pictures_of
from .sparkline import sparkline

# A reader of text follows so many curves; the JSON report holds all.
_MOST_LINES = 4
_VIEW = re.compile(r'viewBox="\S+ \S+ (\S+) (\S+)"')
_DATA = re.compile(r"""\sdata-[a-z-]+=("[^"]*"|'[^']*')""")
_CLASSES = re.compile(r'class="([^"]+)"')
_IDS = re.compile(r'\s(?:id|aria-labelledby)="[^"]*"')
_COLORS = re.compile(r":root\s*\{[^}]*\}")
_DARK = re.compile(r"@media \(prefers-color-scheme: dark\)\s*\{\s*:root\s*\{[^}]*\}\s*\}")
_RULE = re.compile(r"^\s*(\.[\w-][^{}@]*)\{([^{}]*)\}", re.MULTILINE)
_SPOKEN = re.compile(r"<(?:title|desc)[^>]*>(.*?)</(?:title|desc)>", re.DOTALL)


class Album:
    """Collects the pictures of one report.

    Args:
        folder: Where they will lie, as seen from the report; without it there are no files.

    Attributes:
        pictures: The text of an SVG file by its name.
    """

    def __init__(self, folder: str = "") -> None:
        self._folder = folder
        # Findings may share a curve: what is drawn alike is one file.
        self._files: dict[str, str] = {}
        self.pictures: dict[str, str] = {}

    def curves(
        self, report: Report, series: Sequence[Series], name: str,
        evidence: Sequence[Evidence] = (),
    ) -> list[str]:
        """Return the lines of Markdown that show some series; `name` starts those of files."""
        if not self._folder:
            return _sparklines(series)
        return self.shown(pictures_of(report, series, evidence), name)

    def shown(self, pictures: Iterable[Picture], name: str) -> list[str]:
        """Return the lines of Markdown that show pictures, or say in words what is in them."""
        lines: list[str] = []
        for picture in pictures:
            chart = picture.chart
            caption = " ".join([f"{_begun(chart.title)}.", *picture.remarks])
            if self._folder:
                lines += [self._image(chart.svg(name), name), "", inline(caption), ""]
            else:
                lines.append(f"- {inline(f'{_begun(chart.title)}: {chart.says}.')}")
        return lines

    def bars(self, bars: Sequence[Bar], joint: JointTrial, name: str) -> list[str]:
        """Return the lines that show bars; a report without files has them in words already."""
        if not self._folder or not bars:
            return []
        return [self._image(bars_svg(bars, joint.measure, name), name)]

    def _image(self, svg: str, name: str) -> str:
        key = _IDS.sub("", svg)
        if key not in self._files:
            taken = sum(other.rpartition("-")[0] == name for other in self.pictures)
            self._files[key] = f"{name}-{taken + 1}.svg"
            self.pictures[self._files[key]] = standalone(svg)
        # Shapes have titles too, for the pointer: those of the picture come first.
        said = ": ".join(html.unescape(text) for text in _SPOKEN.findall(svg)[:2])
        return image(said, f"{self._folder}/{self._files[key]}")


def standalone(svg: str) -> str:
    """Return a drawing of the page as a file: sized, on paper, light or dark as the reader's page.

    It brings the rules of the page's style sheet that its shapes need.
    """
    bare = _DATA.sub("", svg)
    view = _VIEW.search(bare)
    size = f' width="{view[1]}" height="{view[2]}"' if view else ""
    head, _, body = bare.partition(">")
    # Title and description stay the first children: only there browsers read them.
    spoken, _, shapes = body.partition("</desc>")
    paper = '<rect class="paper" width="100%" height="100%" fill="#f7f8fa"/>'
    return f"{head}{size}>{spoken}</desc><style>{_style(bare)}</style>{paper}{shapes}"


def _style(svg: str) -> str:
    sheet = files("auditor.reports").joinpath("templates", "report.css").read_text("utf-8")
    used = {name for names in _CLASSES.findall(svg) for name in names.split()}
    dark = _DARK.search(sheet)
    colors = _COLORS.search(sheet)
    rules = [f"{selectors.strip()} {{{body}}}" for selectors, body in _RULE.findall(sheet)
             if set(re.findall(r"\.([\w-]+)", selectors)) & used]
    parts = (colors[0] if colors else "", dark[0] if dark else "", *rules,
             ".paper { fill: var(--card); }")
    return re.sub(r"\s+", " ", " ".join(parts)).replace("&", "&amp;").replace("<", "&lt;")


def _begun(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _sparklines(series: Iterable[Series]) -> list[str]:
    lines = [line for line in map(sparkline, series) if line]
    if not lines:
        return []
    shown, rest = lines[:_MOST_LINES], lines[_MOST_LINES:]
    more = folded(f"{len(rest)} more", fence(rest, "text")) if rest else []
    return [*fence(shown, "text"), *(["", *more] if more else [])]
