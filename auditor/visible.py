"""Text of the user's made fit to be shown: nothing in it can steer a terminal or an editor."""

from __future__ import annotations

import re
import unicodedata

# Categories that a terminal or an editor may act on instead of showing them.
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_CUT = " [...] "
# `::error::` at the begin of a line; the old form `##[error]` counts anywhere.
_COMMAND = re.compile(r"^(\s*)::", re.MULTILINE)


def visible(text: str, keep: str = "") -> str:
    r"""Return the text with every control or format character written as an escape (`\x1b`).

    Args:
        text: Of the user.
        keep: Characters that stay as they are ("\n").
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(c) if unicodedata.category(c) in _HIDDEN and c not in keep else c
                   for c in text)


def defused(text: str) -> str:
    """Return the text without lines that a runner of GitHub would take for its commands."""
    return _COMMAND.sub(r"\1: :", text).replace("##[", "## [")


def shortened(text: str, most: int) -> str:
    """Return the text with its middle left out where it has more than `most` characters."""
    if len(text) <= most:
        return text
    half = (most - len(_CUT)) // 2
    return text[:half] + _CUT + text[-half:]


def words_of(problem: BaseException, most: int = 2000) -> str:
    """Return the message of the user's exception, which may be huge, or fail to be made."""
    try:
        return shortened(str(problem), most)
    except Exception as other:
        return f"(its message cannot be shown: {type(other).__name__})"


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
