"""GitHub-flavoured Markdown out of strings that must not act as Markdown or HTML.

A word that holds anything active (emphasis, a link, an address, a mention, a tag, a pipe) becomes
a code span: there no renderer links, notifies or formats, and the word stays readable.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Sequence
from urllib.parse import quote

from .wording import prose

# A balanced code span of the author, else one word with the punctuation around it.
_PIECE = re.compile(r"`([^`]+)`|(\(*)([^\s`]\S*?|`\S*?)([.,:;!?)]*)(?=\s|$)")
_ACTIVE = re.compile(r"[\\`*_<@#|~&${}^]|://|www\.|^:\w|:\w+:|^[0-9a-f]{7,40}$", re.IGNORECASE)


def inline(text: str) -> str:
    """Return one line of prose as Markdown."""
    return _spans(text, code, lambda word: word.replace("[", "\\[").replace("]", "\\]"))


def summary(text: str) -> str:
    """Return one line of prose as HTML, for a `<summary>`, where Markdown is not read."""
    return _spans(text, lambda word: f"<code>{html.escape(word)}</code>", html.escape)


def code(text: str) -> str:
    """Return a code span that holds the text, whatever backticks it has."""
    shown = prose(text)
    ticks = "`" * (_longest_run(shown) + 1)
    pad = " " if "`" in shown else ""
    return f"{ticks}{pad}{shown}{pad}{ticks}" if shown else ""


def fence(lines: Sequence[str], language: str = "") -> list[str]:
    """Return the lines as a fenced block that no line of theirs can close."""
    ticks = "`" * max(3, _longest_run("\n".join(lines)) + 1)
    return [f"{ticks}{language}", *lines, ticks]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a table; the cells are Markdown already."""
    return [_row(head), _row(["---"] * len(head)), *(_row(row) for row in rows)]


def image(says: str, target: str) -> str:
    """Return a picture with what it says to those who do not see it.

    The target is a path; what has a meaning in Markdown or in an address is escaped in it.
    """
    return f"![{inline(says)}]({quote(target)})"


def folded(title: str, body: Sequence[str]) -> list[str]:
    """Return a block that the reader can open; the title is HTML already."""
    return [f"<details><summary>{title}</summary>", "", *body, "", "</details>"]


def _row(cells: Sequence[str]) -> str:
    # Inside a table a pipe ends the cell even in a code span.
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _spans(text: str, as_code: Callable[[str], str], as_text: Callable[[str], str]) -> str:
    def shown(found: re.Match[str]) -> str:
        quoted, before, word, after = found.groups()
        if quoted is not None:
            return as_code(quoted)
        return before + (as_code(word) if _ACTIVE.search(word) else as_text(word)) + after

    return _PIECE.sub(shown, prose(text))


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall(r"`+", text)), default=0)
