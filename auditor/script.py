"""A training script in parts: what runs at import, what behind the guard, and what trains."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from auditor.document import decode_text
from auditor.errors import UsageError
from auditor.syntax import Function, base_name, bound, calls, dotted

# A notebook's magic, as nbconvert writes it.
_MAGIC = "get_ipython"
_COMPILED = ("torch.compile", "compile")
# Of Accelerate and of Fabric.
_WRAPPERS = ("prepare", "prepare_model", "setup", "setup_module", "setup_dataloaders")


@dataclass(frozen=True)
class Scope:
    """Statements that run one after the other: the module, a function, or the main guard.

    Attributes:
        body: Up to where the training begins.
        rest: From there on.
        function: None for the module and the guard.
    """

    body: Sequence[ast.stmt]
    rest: Sequence[ast.stmt]
    function: ast.FunctionDef | ast.AsyncFunctionDef | None = None


@dataclass(frozen=True)
class Script:
    """A training script as it stands in its file.

    Attributes:
        path: Of the file.
        module: Its top level; the main guard is left out.
        guard: What runs under `if __name__ == "__main__"`.
        scopes: Where things are made: module, guard, functions.
        functions: By name.
        is_safe: Importing it trains nothing and needs no notebook.
        modules: Names that import statements bind.
        libraries: What is imported, by its first name.
    """

    path: Path
    module: Scope
    guard: Scope
    scopes: tuple[Scope, ...]
    functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef]
    is_safe: bool
    modules: frozenset[str]
    libraries: frozenset[str]


def read_script(path: Path) -> Script:
    """Return a script's parts.

    Raises:
        UsageError: The file cannot be read or is not Python.
    """
    if path.suffix == ".ipynb":
        raise UsageError(f"{path} is a notebook.", hint="Write its cells to a file first: "
                         f"jupyter nbconvert --to script {path}")
    try:
        tree = ast.parse(decode_text(path.read_bytes(), str(path), UsageError))
    except OSError as problem:
        raise UsageError(f"{path} cannot be read: {problem.strerror}.") from problem
    except (SyntaxError, ValueError) as problem:
        line = getattr(problem, "lineno", 0) or 0
        raise UsageError(f"{path} is not valid Python: {problem}.",
                         where=f"{path}:{line}") from problem
    functions = {node.name: node for node in tree.body if isinstance(node, Function)}
    training = _training_functions(functions)
    top = [statement for statement in tree.body if not _is_guard(statement)]
    guarded = [inner for statement in tree.body if _is_guard(statement)
               for inner in getattr(statement, "body", ())]
    module, guard = _scope(top, training), _scope(guarded, training)
    imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    return Script(
        path, module, guard,
        (guard, module, *(_scope(node.body, training, node) for node in functions.values())),
        functions, not module.rest and not any(_is_magic(node) for node in tree.body),
        frozenset(bound(imports)), frozenset(_libraries(imports)),
    )


def _scope(
    statements: Sequence[ast.stmt], training: frozenset[str],
    function: ast.FunctionDef | ast.AsyncFunctionDef | None = None,
) -> Scope:
    begin = next((index for index, statement in enumerate(statements)
                  if _trains(statement, training)), len(statements))
    body = [statement for statement in statements[:begin] if not _is_wrapping(statement)]
    return Scope(body, statements[begin:], function)


def _trains(statement: ast.stmt, training: frozenset[str]) -> bool:
    if isinstance(statement, (*Function, ast.ClassDef)):
        return False
    return any(_starts_training(call) or dotted(call.func) in training
               for call in calls(statement))


def _starts_training(call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Attribute):
        return False
    is_trainer = "trainer" in ast.unparse(call.func.value).lower()
    return call.func.attr == "backward" or (is_trainer and call.func.attr in ("fit", "train"))


def _training_functions(
    functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef],
) -> frozenset[str]:
    """Return the functions that train, or call one that does."""
    found: set[str] = set()
    while True:
        more = {name for name, node in functions.items() if name not in found and any(
            _starts_training(call) or dotted(call.func) in found for call in calls(node))}
        if not more:
            return frozenset(found)
        found |= more


def _is_wrapping(statement: ast.stmt) -> bool:
    """Tell whether it only wraps what is there: to compile it, or to spread it over devices."""
    if not (isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call)):
        return False
    name = dotted(statement.value.func)
    return name in _COMPILED or ("." in name and name.rpartition(".")[2] in _WRAPPERS)


def _libraries(imports: Iterable[ast.Import | ast.ImportFrom]) -> Iterator[str]:
    for statement in imports:
        if isinstance(statement, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in statement.names)
        elif statement.module and not statement.level:
            yield statement.module.partition(".")[0]


def _is_guard(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and "__name__" in ast.dump(statement.test)


def _is_magic(statement: ast.stmt) -> bool:
    return any(dotted(call.func).startswith(_MAGIC) or base_name(call.func) == _MAGIC
               for call in calls(statement))
