"""The loss of a training loop, as a function of output and target or as a whole step."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Sequence

from auditor import rolenames
from auditor.draft import Draft
from auditor.survey import Loop, Survey
from auditor.syntax import bound, calls, dotted, part_for

# Methods that put a tensor elsewhere and leave its values as they are.
_MOVES = ("to", "cuda", "cpu", "long", "float")
_MODELS = ("model", "net", "network", "classifier")


def loss_parts(draft: Draft, seen: Survey, found: list[str]) -> list[str]:
    """Return the lines that give the loss; nothing if it is inside the model or unknown."""
    loop = seen.loop
    if loop is None:
        return []
    model = _model_in(loop, seen)
    if _is_in_model(loop):
        found.append("loss: inside the model")
        return []
    if isinstance(loop.loss, ast.Call) and _is_plain(loop, loop.loss, model):
        return _function_of(draft, seen, loop, loop.loss, found)
    return _step(draft, seen, loop, model, found)


def _model_in(loop: Loop, seen: Survey) -> str:
    """Return what the loop calls the model."""
    used = {dotted(call.func) for statement in loop.body for call in calls(statement)}
    return next((name for name in (seen.model, *_MODELS) if name in used), seen.model or "model")


def _is_in_model(loop: Loop) -> bool:
    """Tell whether the loss is `model(**batch).loss`."""
    spread = any(word.arg is None for statement in loop.body for call in calls(statement)
                 for word in call.keywords)
    return spread and isinstance(loop.loss, (ast.Attribute, ast.Subscript))


def _is_plain(loop: Loop, loss: ast.Call, model: str) -> bool:
    """Tell whether the loop does nothing but `loss = f(model(x), y)` with a batch of two."""
    if not (isinstance(loop.item, ast.Tuple) and len(loop.item.elts) == 2 and len(loss.args) == 2
            and dotted(loss.func)):
        return False
    names = [item.id for item in loop.item.elts if isinstance(item, ast.Name)]
    output, target = loss.args
    if len(names) != 2 or not _is_moved(target, names[1]):
        return False
    before, _ = part_for(_before_gradient(loop), [loop.loss_name], ())
    outputs = {name for item in before if isinstance(item, ast.Assign)
               for name in bound([item]) if _is_output(item.value, model, names[0])}
    plain = all(isinstance(item, ast.Assign) and (
        item.value is loss or bound([item]) <= outputs or _only_moves(item, names))
        for item in before)
    return plain and (_is_output(output, model, names[0])
                      or isinstance(output, ast.Name) and output.id in outputs)


def _is_output(node: ast.AST, model: str, name: str) -> bool:
    return (isinstance(node, ast.Call) and dotted(node.func) == model and len(node.args) == 1
            and _is_moved(node.args[0], name))


def _is_moved(node: ast.AST, name: str) -> bool:
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr not in _MOVES:
            return False
        node = node.func.value
    return isinstance(node, ast.Name) and node.id == name


def _only_moves(statement: ast.Assign, names: Sequence[str]) -> bool:
    target, value = statement.targets[0], statement.value
    targets = target.elts if isinstance(target, ast.Tuple) else [target]
    values = value.elts if isinstance(value, ast.Tuple) else [value]
    return len(targets) == len(values) and all(
        isinstance(left, ast.Name) and left.id in names and _is_moved(right, left.id)
        for left, right in zip(targets, values, strict=True))


def _function_of(
    draft: Draft, seen: Survey, loop: Loop, loss: ast.Call, found: list[str],
) -> list[str]:
    """Return the loss function under a usual name."""
    function = _resolved(draft, seen, loop, loss.func)
    draft.need(function, [seen.model])
    text = ast.unparse(function)
    found.append(f"loss: {text}")
    if loss.keywords:
        for word in loss.keywords:
            draft.need(word.value, [seen.model])
        words = ", ".join(ast.unparse(word) for word in loss.keywords)
        return [f"def loss_fn(output, target):\n    return {text}(output, target, {words})"]
    return [] if text in rolenames.LOSS else [f"loss_fn = {text}"]


def _step(
    draft: Draft, seen: Survey, loop: Loop, model: str, found: list[str],
) -> list[str]:
    """Return a training step made of the loop's own statements."""
    body, left = part_for(_before_gradient(loop), [loop.loss_name], (), seen.script.modules)
    if not body:
        return []
    item = {node.id for node in ast.walk(loop.item) if isinstance(node, ast.Name)}
    for name in sorted(left - item - {model}):
        value = _resolved(draft, seen, loop, ast.Name(name, ast.Load()))
        draft.need(value, [seen.model])
        if not (isinstance(value, ast.Name) and value.id == name):
            draft.give(name, value)
    found.append("loss: the body of the training loop")
    unpacked = _unpacked(loop.item)
    lines = [*([f"{unpacked} = batch"] if unpacked != "batch" else []),
             *map(draft.text_of, body), f"return {loop.loss_name}"]
    inner = textwrap.indent("\n".join(lines), "    ")
    return [f"def training_step({model}, batch):\n{inner}"]


def _unpacked(item: ast.expr) -> str:
    if isinstance(item, ast.Tuple):
        return ", ".join(map(ast.unparse, item.elts))
    return ast.unparse(item)


def _before_gradient(loop: Loop) -> list[ast.stmt]:
    """Return the loop's statements up to where the gradient is taken."""
    kept: list[ast.stmt] = []
    for statement in loop.body:
        if any(isinstance(call.func, ast.Attribute) and call.func.attr == "backward"
               for call in calls(statement)):
            break
        kept.append(statement)
    return kept


def _resolved(draft: Draft, seen: Survey, loop: Loop, node: ast.expr) -> ast.expr:
    """Return what a name in the loop's function stands for in the scope that calls it."""
    function = loop.function
    if function is None or function is seen.scope.function or not isinstance(node, ast.Name):
        return node
    if node.id not in {item.arg for item in ast.walk(function.args) if isinstance(item, ast.arg)}:
        return node
    where = (*seen.scope.body, *seen.scope.rest)
    return draft.argument(function, node.id, where) or node
