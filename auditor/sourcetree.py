"""A user's source text with its syntax tree: finding expressions, and cutting text out of it."""

from __future__ import annotations

import ast
import io
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from auditor.observation import Place

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


class Unsure(Exception):  # noqa: N818 - it is an outcome, not an error
    """Raised where a change would not be mechanical; the text is the reason."""


class Cut(NamedTuple):
    """Text that takes the place of a stretch of the source (an empty one to insert)."""

    begin: int
    end: int
    text: str


class Source:
    """One file.

    Args:
        text: As it was read, line endings included.

    Raises:
        Unsure: It does not parse.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            self.tree = ast.parse(text)
        except (SyntaxError, ValueError) as problem:
            raise Unsure(f"the file does not parse: {problem}") from problem
        # Other line ends than these do not count for the tree.
        self._lines = list(io.StringIO(text, newline=""))
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line))

    def with_cuts(self, cuts: Sequence[Cut]) -> str:
        """Return the text with the stretches exchanged; equal cuts are made once.

        Raises:
            Unsure: Two of them meet.
        """
        ordered = sorted(dict.fromkeys(cuts))
        for first, second in zip(ordered, ordered[1:], strict=False):
            if second.begin < first.end or (second.begin, second.end) == (first.begin, first.end):
                raise Unsure("two changes meet in one place")
        text = self.text
        for cut in reversed(ordered):
            text = text[:cut.begin] + cut.text + text[cut.end:]
        return text

    def call_at(self, place: Place) -> ast.Call:
        """Return the call at a place.

        Raises:
            Unsure: There is none, or several begin there.
        """
        found = [node for node in ast.walk(self.tree) if isinstance(node, ast.Call)
                 and node.lineno == place.line and self._is_at(node, place)]
        if len(found) != 1:
            raise Unsure(f"line {place.line} is not one call")
        return found[0]

    def function_at(self, place: Place) -> Function:
        """Return the function whose definition stands in a line.

        Raises:
            Unsure: None does.
        """
        found = next((node for node in ast.walk(self.tree)
                      if isinstance(node, Function) and node.lineno == place.line), None)
        if found is None:
            raise Unsure(f"line {place.line} does not define a function")
        return found

    def method(self, owner: str, name: str) -> Function:
        """Return a method of a class.

        Raises:
            Unsure: The file has no such class or method.
        """
        for node in self.tree.body:
            if isinstance(node, ast.ClassDef) and node.name == owner:
                for item in node.body:
                    if isinstance(item, Function) and item.name == name:
                        return item
        raise Unsure(f"{owner}.{name} does not stand in this file")

    def binds(self, name: str) -> bool:
        """Tell whether the file imports something under a name."""
        return any(
            (alias.asname or alias.name.partition(".")[0]) == name
            for node in ast.walk(self.tree) if isinstance(node, (ast.Import, ast.ImportFrom))
            for alias in node.names)

    def is_module(self, value: ast.expr) -> bool:
        """Tell whether an expression is an imported name, or an attribute of one."""
        while isinstance(value, ast.Attribute):
            value = value.value
        return isinstance(value, ast.Name) and self.binds(value.id)

    def text_of(self, node: ast.AST) -> str:
        """Return the source of a node."""
        begin, end = self._span(node)
        return self.text[begin:end]

    def replaced(self, node: ast.AST, text: str) -> Cut:
        """Return the cut that puts a text in the place of a node."""
        return Cut(*self._span(node), text)

    def constant_behind(self, value: ast.expr, text: str) -> Cut:
        """Return the cut that gives an argument another value.

        A name that the file sets once, at its top, to a constant, is changed there, so that all
        who read it agree.
        """
        if isinstance(value, ast.Name):
            uses = [node for node in ast.walk(self.tree)
                    if isinstance(node, ast.Name) and node.id == value.id]
            stores = [node for node in uses if isinstance(node.ctx, ast.Store)]
            for statement in self.tree.body:
                if isinstance(statement, ast.Assign) and len(stores) == 1 \
                        and statement.targets == stores \
                        and isinstance(statement.value, ast.Constant):
                    return self.replaced(statement.value, text)
        return self.replaced(value, text)

    def added_argument(self, call: ast.Call, text: str) -> Cut:
        """Return the cut that adds an argument behind the last one."""
        last = [*call.args, *(keyword.value for keyword in call.keywords)]
        if not last:
            end = self._span(call)[1] - 1
            return Cut(end, end, text)
        end = max(self._span(node)[1] for node in last)
        return Cut(end, end, f", {text}")

    def after_construction(self, name: str, class_name: str, code: str) -> list[Cut]:
        """Return the cuts that add lines where the model is complete.

        Args:
            name: Of the function, class or variable that gives the model.
            class_name: Of the model.
            code: Lines that speak of `model`.

        Raises:
            Unsure: It is not clear where that is.
        """
        for node in self.tree.body:
            if isinstance(node, Function) and node.name == name:
                return self._before_return(node, code)
            if isinstance(node, ast.ClassDef) and node.name == name == class_name:
                body = self.method(name, "__init__").body
                return [self._behind(body[-1], _renamed(code, "self"))]
            if isinstance(node, ast.Assign) and _names_of(node) == [name]:
                return [self._behind(self._last_touch(node, name), _renamed(code, name))]
        raise Unsure("it is not clear where the model is complete")

    def _before_return(self, function: Function, code: str) -> list[Cut]:
        returns = [node for node in ast.walk(function) if isinstance(node, ast.Return)]
        last = function.body[-1]
        if not isinstance(last, ast.Return) or returns != [last] or last.value is None:
            raise Unsure(f"{function.name} returns in {len(returns)} places")
        value = last.value
        begin = self._starts[last.lineno - 1]
        if isinstance(value, ast.Name):
            lines = self._indented(_renamed(code, value.id), last)
            return [Cut(begin, begin, lines)]
        start, end = self._span(last)[0], self._span(value)[0]
        rest = self._indented(f"{code}\nreturn model", last)
        stop = self._line_end(last)
        return [Cut(start, end, "model = "), Cut(stop, stop, self._break_before(stop) + rest)]

    def _behind(self, statement: ast.stmt, code: str) -> Cut:
        stop = self._line_end(statement)
        return Cut(stop, stop, self._break_before(stop) + self._indented(code, statement))

    def _last_touch(self, made: ast.Assign, name: str) -> ast.stmt:
        """Return the last statement in a row that works on a variable right after it was made."""
        last: ast.stmt = made
        for node in self.tree.body[self.tree.body.index(made) + 1:]:
            told = self.text_of(node)
            if not isinstance(node, (ast.For, ast.With, ast.Expr)) or f"{name}." not in told \
                    and f"({name})" not in told or "optim" in told:
                break
            last = node
        return last

    def _indented(self, code: str, like: ast.stmt) -> str:
        ending = "\r\n" if self._lines and self._lines[0].endswith("\r\n") else "\n"
        return "".join(f"{' ' * like.col_offset}{line}{ending}" for line in code.splitlines())

    def _break_before(self, offset: int) -> str:
        return "" if self.text[:offset].endswith("\n") else "\n"

    def _line_end(self, node: ast.stmt) -> int:
        return self._starts[node.end_lineno or node.lineno]

    def _is_at(self, node: ast.Call, place: Place) -> bool:
        begin, end = self._span(node)
        if place.column and begin != self._starts[place.line - 1] + place.column - 1:
            return False
        if place.end_line and place.end_column:
            return end == self._starts[place.end_line - 1] + place.end_column - 1
        return True

    def _span(self, node: ast.AST) -> tuple[int, int]:
        where: ast.expr = node  # type: ignore[assignment]
        assert where.end_lineno is not None and where.end_col_offset is not None
        return (self._offset(where.lineno, where.col_offset),
                self._offset(where.end_lineno, where.end_col_offset))

    def _offset(self, line: int, column: int) -> int:
        """Return the position in the text of a byte column of a line."""
        before = self._lines[line - 1].encode()[:column].decode()
        return self._starts[line - 1] + len(before)


def tail(function: ast.expr) -> str:
    """Return the last name of what is called ("Softmax" of `nn.Softmax`)."""
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _names_of(statement: ast.Assign) -> list[str]:
    return [target.id for target in statement.targets if isinstance(target, ast.Name)]


def _renamed(code: str, name: str) -> str:
    """Return lines that speak of `model` for another name."""
    return code if name == "model" else code.replace("model.", f"{name}.").replace(
        "model[", f"{name}[")
