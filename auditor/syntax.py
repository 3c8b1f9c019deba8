"""Which names a piece of Python binds, needs and changes, read off its syntax tree."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator, Sequence

Function = (ast.FunctionDef, ast.AsyncFunctionDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_SCOPES = (*Function, ast.ClassDef, ast.Lambda, *_COMPREHENSIONS)
_BUILTIN = frozenset({*dir(builtins), "__file__", "__name__", "__doc__"})
# Methods of a model or a loader that change nothing that an audit has to know.
_HARMLESS = frozenset({"train", "eval", "zero_grad", "summary", "print", "info", "watch", "log"})
_CHANGING = ("init", "freeze", "replace", "requires_grad", "seed")


def same_scope(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and all below it, without entering functions, classes and comprehensions."""
    waiting = [node]
    while waiting:
        now = waiting.pop(0)
        yield now
        for child in ast.iter_child_nodes(now) if not isinstance(now, _SCOPES) else ():
            waiting.append(child)


def bound(statements: Iterable[ast.AST]) -> set[str]:
    """Return the names that statements give a value in their own scope."""
    names: set[str] = set()
    for statement in statements:
        for node in same_scope(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
            elif isinstance(node, (*Function, ast.ClassDef)):
                names.add(node.name)
            elif isinstance(node, ast.alias):
                names.add(node.asname or node.name.partition(".")[0])
    return names


def needed(node: ast.AST) -> set[str]:
    """Return the names that a node reads and does not give a value itself; no builtin ones."""
    return _free(node) - _BUILTIN


def changed(statement: ast.stmt) -> set[str]:
    """Return the names whose objects a statement changes (`model.fc = ...`, `model.apply(f)`)."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        return _changed_by_call(statement.value)
    if isinstance(statement, (ast.Assign, ast.AugAssign)):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return {base for target in targets if not isinstance(target, ast.Name)
                if (base := base_name(target))}
    if isinstance(statement, ast.For) and _changes_items(statement):
        return needed(statement.iter)
    if isinstance(statement, (ast.If, ast.With)):
        return set().union(*(changed(inner) for inner in statement.body))
    return set()


def base_name(node: ast.AST) -> str:
    """Return `model` of `model.layers[0].weight`; empty if there is no name at its root."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def dotted(node: ast.AST) -> str:
    """Return `torch.optim.Adam` of a chain of attributes; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""


def calls(node: ast.AST) -> Iterator[ast.Call]:
    """Yield all calls in a node, those in nested functions too."""
    return (found for found in ast.walk(node) if isinstance(found, ast.Call))


def part_for(
    body: Sequence[ast.stmt], wanted: Iterable[str], without: Iterable[str] = (),
    modules: Iterable[str] = (),
) -> tuple[list[ast.stmt], set[str]]:
    """Return the statements that the names depend on, in order, and the names they leave open.

    Args:
        body: One scope, up to where the training begins.
        wanted: The names that have to have their values.
        without: Names that are not followed.
        modules: Imported names: a call of theirs (`torch.save(...)`) changes none of them.
    """
    names, stopped, imported = set(wanted), set(without), set(modules)
    chosen: set[int] = set()
    while True:
        more = [index for index, statement in enumerate(body)
                if index not in chosen
                and (bound([statement]) | (changed(statement) - imported)) & (names - stopped)]
        if not more:
            kept = [body[index] for index in sorted(chosen)]
            return kept, names - bound(kept) - stopped
        chosen |= set(more)
        names |= set().union(*(needed(body[index]) for index in more))


def _free(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Load) else set()
    if isinstance(node, (*Function, ast.Lambda)):
        return _free_of_function(node)
    if isinstance(node, ast.ClassDef):
        own = bound(node.body)
        inside = (_free(item) if isinstance(item, _SCOPES) else _free(item) - own
                  for item in node.body)
        around = (*node.bases, *node.decorator_list, *(word.value for word in node.keywords))
        return set().union(*inside, *map(_free, around))
    found: set[str] = set().union(*map(_free, ast.iter_child_nodes(node)))
    if isinstance(node, _COMPREHENSIONS):
        return found - bound(generator.target for generator in node.generators)
    return found


def _free_of_function(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> set[str]:
    body = node.body if isinstance(node.body, list) else [node.body]
    told = node.args
    arguments = [*told.posonlyargs, *told.args, *told.kwonlyargs,
                 *filter(None, (told.vararg, told.kwarg))]
    own = {argument.arg for argument in arguments} | bound(body)
    around: list[ast.AST] = [*told.defaults, *filter(None, told.kw_defaults)]
    around += [argument.annotation for argument in arguments if argument.annotation]
    if not isinstance(node, ast.Lambda):
        around += [*node.decorator_list, *filter(None, (node.returns,))]
    inside: set[str] = set().union(*map(_free, body))
    return set().union(inside - own, *map(_free, around))


def _changed_by_call(call: ast.Call) -> set[str]:
    name = dotted(call.func)
    if isinstance(call.func, ast.Attribute) and call.func.attr in _HARMLESS:
        return set()
    base = {base_name(call.func)} if isinstance(call.func, ast.Attribute) else set()
    if any(word in name.lower() for word in _CHANGING):
        return base | {base_name(argument) for argument in call.args} - {""}
    return base


def _changes_items(loop: ast.For) -> bool:
    for node in ast.walk(loop):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            return True
        if isinstance(node, ast.Call) and any(word in dotted(node.func) for word in _CHANGING):
            return True
    return False
