"""From the text of a condition to a syntax tree, within narrow limits; nothing is evaluated."""

from __future__ import annotations

import ast
import re
import warnings

MAX_LENGTH = 500
MAX_DEPTH = 20

_STRANGER = re.compile(r"[^A-Za-z0-9_ .<>=!()+\-]")
_PREFIXES = re.compile(rf"(?:(?:\bnot\b|[-+])\s*){{{MAX_DEPTH},}}")
_ASSIGNMENT = re.compile(r"(?<![<>=!])=(?!=)")


class ConditionError(ValueError):
    """A condition that cannot be used.

    Attributes:
        message: What is wrong, without its place.
        column: 0-based offset in the text of what is wrong.
        width: How many characters of the text are wrong.
    """

    def __init__(self, message: str, text: str, column: int, width: int) -> None:
        line = text.replace("\n", " ")
        super().__init__(f"{message}\n  {line}\n  {' ' * column}{'^' * max(width, 1)}")
        self.message = message
        self.column = column
        self.width = max(width, 1)


def parse_expression(line: str) -> ast.expr:
    """Return the syntax tree of one line; its columns are offsets in the line.

    Raises:
        ConditionError: The line is empty, too long, too deep, has characters that no condition
            needs, or is no expression.
    """
    _check_characters(line)
    _check_depth(line)
    start = len(line) - len(line.lstrip())
    try:
        with warnings.catch_warnings():
            # Python warns of "1or 2"; the names and kinds are checked later, whatever the blanks.
            warnings.simplefilter("ignore")
            tree = ast.parse(line.lstrip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as problem:
        single = _ASSIGNMENT.search(line)
        if single:
            raise ConditionError("use == to compare", line, single.start(), 1) from None
        offset = getattr(problem, "offset", None) or 1
        column = min(start + offset - 1, len(line) - 1)
        raise ConditionError("this is no condition", line, column, 1) from None
    for node in ast.walk(tree):
        if isinstance(node, ast.expr):
            node.col_offset += start
            node.end_col_offset = (node.end_col_offset or 0) + start
    return tree


def _check_characters(line: str) -> None:
    if not line.strip():
        raise ConditionError("the condition is empty", line, 0, 1)
    if len(line) > MAX_LENGTH:
        raise ConditionError(
            f"a condition has at most {MAX_LENGTH} characters, this one has {len(line)}",
            line[:60], 0, 1,
        )
    stranger = _STRANGER.search(line)
    if stranger:
        why = "it knows names, numbers, comparisons, and, or, not, brackets"
        if stranger[0] in "*/%":
            why = "there is no arithmetic; let a probe measure it"
        raise ConditionError(
            f"{stranger[0]!r} has no place in a condition: {why}", line, stranger.start(), 1
        )


def _check_depth(line: str) -> None:
    depth = 0
    for column, character in enumerate(line):
        depth += (character == "(") - (character == ")")
        if depth > MAX_DEPTH:
            raise ConditionError(
                f"brackets stand more than {MAX_DEPTH} deep", line, column, 1
            )
    # Each `not` and each sign is a level of its own in the parser.
    prefixes = _PREFIXES.search(line)
    if prefixes:
        raise ConditionError("too many signs or `not` in a row", line, prefixes.start(), 1)


