"""Collects what a target file needs of a training script: imports, settings, and their order."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterable, Sequence

from auditor.script import Scope, Script
from auditor.syntax import Function, bound, calls, dotted, needed, part_for


class Draft:
    """The lines of a target file, from imports to what several of its parts share.

    Args:
        script: Where the lines come from.
        scope: The function or level of it that makes model and data.
        module: Under which name the script is imported.
    """

    def __init__(self, script: Script, scope: Scope, module: str) -> None:
        self.script = script
        self.scope = scope
        self.missing: list[str] = []
        self._module = module
        self._lines = script.path.read_text(encoding="utf-8-sig").splitlines()
        self._imports: dict[str, None] = {}
        self._own: dict[str, None] = {}
        self._statements: dict[ast.stmt, None] = {}
        self._arguments: dict[str, str] = {}
        self._later: dict[str, str] = {}
        self._asked: set[str] = set()
        # Things that are made at the top of a file that may be imported are taken from it.
        self.is_imported = scope is script.module and script.is_safe

    def part(self, names: Iterable[str], without: Iterable[str] = ()) -> list[ast.stmt]:
        """Return the scope's statements that make the names; what they need besides is noted."""
        if self.is_imported:
            self._own.update(dict.fromkeys(sorted(set(names) - set(without))))
            return []
        made, left = part_for(self.scope.body, names, without, self.script.modules)
        for name in sorted(left):
            self._from_outside(name)
        return made

    def share(self, statements: Iterable[ast.stmt]) -> None:
        """Put statements where all parts of the file see their names."""
        for statement in statements:
            if isinstance(statement, (ast.Import, ast.ImportFrom)):
                self._imports.setdefault(ast.unparse(statement))
            else:
                self._statements.setdefault(statement)

    def share_definitions(self, statements: Iterable[ast.stmt]) -> None:
        """Share those that define a class or a function, and what these need."""
        for statement in statements:
            if isinstance(statement, (*Function, ast.ClassDef)):
                self.share([*self.part(needed(statement)), statement])

    def need(self, node: ast.AST, without: Iterable[str] = ()) -> None:
        """Share whatever an expression reads."""
        self.share(self.part(needed(node) - set(without), without))

    def say(self, line: str) -> None:
        """Import something for a line of our own."""
        self._imports.setdefault(line)

    def text_of(self, statement: ast.stmt) -> str:
        """Return a statement as it stands in the script, without its indentation."""
        decorators = getattr(statement, "decorator_list", [])
        first = min((item.lineno for item in decorators), default=statement.lineno)
        lines = self._lines[first - 1:statement.end_lineno]
        is_plain = ";" not in lines[0] and not any(
            isinstance(node, (ast.Constant, ast.JoinedStr)) and node.end_lineno != node.lineno
            for node in ast.walk(statement))
        return textwrap.dedent("\n".join(lines)) if is_plain else ast.unparse(statement)

    def head(self) -> list[str]:
        """Return imports, then everything shared, in the order of the script."""
        own = [f"from {self._module} import {_sorted(self._own)}"] if self._own else []
        statements = sorted(self._statements, key=lambda item: item.lineno)
        given = [f"{name} = {value}" for name, value in self._arguments.items()]
        outer = [item for item in statements if item not in self.scope.body]
        inner = [item for item in statements if item in self.scope.body]
        later = [f"{name} = {value}" for name, value in self._later.items()]
        return ["\n".join([*_merged(self._imports), *own]), *map(self.text_of, outer), *given,
                *map(self.text_of, inner), *later]

    def give(self, name: str, value: ast.expr) -> None:
        """Give a name the value of an expression."""
        self._later[name] = ast.unparse(value)

    def shared_statements(self) -> set[ast.stmt]:
        """Return the statements that all parts of the file see."""
        return set(self._statements)

    def reads(self, name: str) -> bool:
        """Tell whether a shared statement reads a name."""
        return any(name in needed(statement) for statement in self._statements)

    def argument(
        self, function: ast.FunctionDef | ast.AsyncFunctionDef, name: str,
        where: Sequence[ast.stmt],
    ) -> ast.expr | None:
        """Return what a function is given for a parameter where it is called, or its default."""
        told = function.args
        names = [item.arg for item in (*told.posonlyargs, *told.args)]
        here = (statement for statement in where
                if not isinstance(statement, (*Function, ast.ClassDef)))
        for call in (found for statement in here for found in calls(statement)):
            if dotted(call.func) != function.name:
                continue
            given: dict[str | None, ast.expr] = {
                **dict(zip(names, call.args, strict=False)),
                **{word.arg: word.value for word in call.keywords}}
            if name in given:
                return given[name]
        defaults = dict(zip(reversed(names), reversed(told.defaults), strict=False))
        return defaults.get(name)

    def _from_outside(self, name: str) -> None:
        """Note where a name comes from that the scope itself does not make."""
        if name in self._asked:
            return
        self._asked.add(name)
        function = self.scope.function
        if function is not None and name in _parameters(function):
            self._given(function, name)
        elif name in bound(self.script.guard.body) and self.scope is not self.script.guard:
            self._copy(self.script.guard.body, name)
        else:
            self._of_module(name)

    def _given(self, function: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> None:
        for scope in self.script.scopes:
            value = self.argument(function, name, (*scope.body, *scope.rest))
            if value is None or scope.function is function:
                continue
            for inner in sorted(needed(value)):
                if scope.function is not None and inner in bound(scope.body):
                    self._copy(scope.body, inner)
                else:
                    self._from_outside(inner)
            if not (isinstance(value, ast.Name) and value.id == name):
                self._arguments[name] = ast.unparse(value)
            return
        self.missing.append(f"what {function.name}() is given as `{name}`")

    def _of_module(self, name: str) -> None:
        for statement in self.script.module.body:
            if name in bound([statement]):
                if isinstance(statement, (ast.Import, ast.ImportFrom)):
                    self._import(statement, name)
                elif self.script.is_safe:
                    self._own.setdefault(name)
                else:
                    self._copy(self.script.module.body, name)
                return
        if self.script.is_safe and name in bound(self.script.module.rest):
            self._own.setdefault(name)
        else:
            self.missing.append(f"where `{name}` comes from")

    def _copy(self, body: Sequence[ast.stmt], name: str) -> None:
        made, left = part_for(body, [name], (), self.script.modules)
        self.share(made)
        for inner in sorted(left):
            self._from_outside(inner)

    def _import(self, statement: ast.Import | ast.ImportFrom, name: str) -> None:
        aliases = [alias for alias in statement.names
                   if (alias.asname or alias.name.partition(".")[0]) == name]
        kept: ast.Import | ast.ImportFrom = (
            ast.Import(aliases) if isinstance(statement, ast.Import)
            else ast.ImportFrom(statement.module, aliases, statement.level))
        self._imports.setdefault(ast.unparse(kept))


def _merged(imports: Iterable[str]) -> list[str]:
    """Return import statements with those of one module in one line."""
    plain: list[str] = []
    names: dict[str, list[str]] = {}
    for line in sorted(imports):
        module, word, name = line.partition(" import ")
        if line.startswith("from ") and word:
            names.setdefault(module, []).append(name)
        else:
            plain.append(line)
    return [*plain, *(f"{module} import {_sorted(each)}" for module, each in names.items())]


def _sorted(names: Iterable[str]) -> str:
    """Return names in the order of isort: constants, classes, others."""
    return ", ".join(sorted(names, key=lambda name: (
        0 if name.isupper() else 1 if name[0].isupper() else 2, name)))


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    told = function.args
    return {item.arg for item in (*told.posonlyargs, *told.args, *told.kwonlyargs)}
