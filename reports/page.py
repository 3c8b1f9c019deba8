"""Lines on a console: wrapped with a hanging indent, never read as markup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from .sparkline import BLOCKS

_WIDEST = 110
_NARROWEST = 20
_LABEL, _WIDE_LABEL = 8, 14
_RULE = "─"


@dataclass(frozen=True, slots=True)
class Page:
    """Where the terminal report is written.

    Attributes:
        console: Gives width, colour and encoding.
    """

    console: Console

    @property
    def is_ascii(self) -> bool:
        """Whether the console's encoding lacks box and block characters."""
        return not self._can_write(BLOCKS + _RULE)

    def line(self, text: Text) -> None:
        """Print a line; its continuations are indented by two, and no word stands alone."""
        if text:
            room = self._room(2)
            self._paragraph(Text(), self._evenly(self._encodable(text), room), indent=2)

    def parts(self, parts: Sequence[Text], between: str, indent: int = 2) -> None:
        """Print parts as a line, broken between two of them where it does not hold all."""
        room = self._room(indent)
        lines = [Text()]
        for part in parts:
            head = Text(between if lines[-1] else "")
            longer = lines[-1].copy().append_text(head).append_text(part)
            # The line may have to end with what comes between.
            if lines[-1] and len(longer) + len(between.rstrip()) > room:
                lines[-1].append(between.rstrip())
                lines.append(part.copy())
            else:
                lines[-1] = longer
        broken = [piece for line in lines if line
                  for piece in self._encodable(line).wrap(self.console, room)]
        self._paragraph(Text(), broken, indent)

    def entry(self, label: str, text: str | Text, wide: bool = False) -> None:
        """Print a labelled paragraph; nothing if the text is empty."""
        if not text:
            return
        width = _WIDE_LABEL if wide else _LABEL
        head = Text().append(f"{label:>{width}}  ", "bold")
        body = Text(text) if isinstance(text, str) else text
        self._wrapped(head, body, indent=width + 2)

    def snippet(self, line: str, style: str = "") -> None:
        """Print code or an address under an entry, never wrapped."""
        self.code(Text(" " * (_LABEL + 2)).append(line, style))

    def code(self, text: Text) -> None:
        """Print a line as it stands: wrapped code could not be copied."""
        self._print(self._encodable(text))

    def blank(self) -> None:
        """Print an empty line."""
        self._print(Text())

    def rule(self) -> None:
        """Print a line across the page."""
        self._print(Text(("-" if self.is_ascii else _RULE) * self._width, "dim"))

    @property
    def _width(self) -> int:
        return max(min(self.console.width, _WIDEST), _NARROWEST)

    def _wrapped(self, head: Text, text: Text, indent: int) -> None:
        # Rich cannot hang an indent: the paragraph is wrapped alone, then moved to the right.
        lines = self._encodable(text).wrap(self.console, self._room(indent))
        self._paragraph(head, list(lines), indent)

    def _room(self, indent: int) -> int:
        return max(self._width - indent, _NARROWEST)

    def _evenly(self, text: Text, room: int) -> list[Text]:
        """Wrap to lines of about one length, no more of them than the room asks for."""
        lines = list(text.wrap(self.console, room))
        for narrower in range(room - 1, room // len(lines) if len(lines) > 1 else room, -1):
            found = list(text.wrap(self.console, narrower))
            if len(found) > len(lines):
                break
            lines = found
        return lines

    def _paragraph(self, head: Text, lines: Sequence[Text], indent: int) -> None:
        for position, line in enumerate(lines):
            start = head if position == 0 else Text(" " * indent)
            self._print(start.copy().append_text(line))

    def _print(self, text: Text) -> None:
        text.rstrip()
        self.console.print(text, markup=False, highlight=False, emoji=False, soft_wrap=True)

    def _encodable(self, text: Text) -> Text:
        """Return the text with what the console's encoding lacks written as escapes."""
        if self._can_write(text.plain):
            return text
        pieces = Text()
        for letter in text.divide(range(1, len(text))):
            escaped = letter.plain.encode(self.console.encoding, "backslashreplace")
            pieces.append(escaped.decode(self.console.encoding),
                          letter.get_style_at_offset(self.console, 0))
        return pieces

    def _can_write(self, text: str) -> bool:
        try:
            text.encode(self.console.encoding)
        except UnicodeEncodeError:
            return False
        return True
