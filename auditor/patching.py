"""Changes a user's file in place: by the positions of expressions, never by printing it anew.

Formatting and comments stay as they are. Where it is not sure that a change does what was tried, it
refuses and says why.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from auditor.observation import Place
from auditor.sourceedit import Edit
from auditor.sourcetree import Cut, Source, Unsure, tail

_ACTIVATIONS = frozenset({
    "relu", "relu6", "leakyrelu", "sigmoid", "hardsigmoid", "tanh", "hardtanh", "softsign",
    "softmax", "logsoftmax", "logsigmoid", "softplus", "gelu", "silu", "elu", "selu",
})
_OWN_ORDER = ("sampler", "batch_sampler", "shuffle")


@dataclass(frozen=True)
class Names:
    """What the user calls things.

    Attributes:
        roles: Role ("model", "optimizer", ...) -> the name in the file.
        model: Class name of the model.
    """

    roles: Mapping[str, str]
    model: str


def patched(text: str, edits: Sequence[Edit], names: Names) -> str:
    """Return the file's text with all edits made.

    Raises:
        Unsure: An edit cannot be made mechanically, or two of them meet.
    """
    source = Source(text)
    cuts = [cut for edit in edits for cut in _MAKERS[edit.kind](source, edit, names)]
    changed = source.with_cuts(cuts)
    try:
        ast.parse(changed)
    except SyntaxError as problem:
        raise Unsure(f"the changed file would not parse: {problem}") from problem
    return changed


def _set_keyword(source: Source, edit: Edit, _: Names) -> list[Cut]:
    call = source.call_at(_needed(edit.place))
    own = next((keyword for keyword in call.keywords if keyword.arg == edit.name), None)
    if edit.name == "shuffle" and any(k.arg in _OWN_ORDER[:2] for k in call.keywords):
        raise Unsure("the loader has a sampler of its own")
    if own is not None:
        return [source.constant_behind(own.value, edit.code)]
    if any(keyword.arg is None for keyword in call.keywords) or any(
            isinstance(arg, ast.Starred) for arg in call.args):
        raise Unsure(f"line {call.lineno} passes arguments that stand elsewhere")
    if 0 <= edit.position < len(call.args):
        return [source.constant_behind(call.args[edit.position], edit.code)]
    return [source.added_argument(call, f"{edit.name}={edit.code}")]


def _replace_call(source: Source, edit: Edit, _: Names) -> list[Cut]:
    call = source.call_at(_needed(edit.place))
    name = tail(call.func).replace("_", "").lower()
    wanted = edit.name.replace("_", "").lower()
    if name not in _ACTIVATIONS or (wanted and name != wanted):
        raise Unsure(f"line {call.lineno} does not make the activation itself")
    return [source.replaced(call, f"{_prefix(source, call.func)}{edit.code}")]


def _rename_call(source: Source, edit: Edit, _: Names) -> list[Cut]:
    call = source.call_at(_needed(edit.place))
    if tail(call.func) != edit.name or any(k.arg is None for k in call.keywords):
        raise Unsure(f"line {call.lineno} does not call {edit.name} itself")
    return [source.replaced(call.func, f"{_prefix(source, call.func)}{edit.code}")]


def _drop_call(source: Source, edit: Edit, _: Names) -> list[Cut]:
    function = source.function_at(_needed(edit.place))
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)
             and tail(node.func).rstrip("_") == edit.name]
    returned = [node for statement in ast.walk(function) if isinstance(statement, ast.Return)
                for node in ast.walk(statement) if node in calls]
    chosen = calls if len(calls) == 1 else returned
    if len(chosen) != 1:
        raise Unsure(f"{function.name} calls {edit.name} {len(calls)} times")
    call = chosen[0]
    assert isinstance(call, ast.Call) and isinstance(call.func, (ast.Attribute, ast.Name))
    is_method = isinstance(call.func, ast.Attribute) and not source.is_module(call.func.value)
    inner = call.func.value if is_method and isinstance(call.func, ast.Attribute) else next(
        iter(call.args), None)
    if inner is None:
        raise Unsure(f"line {call.lineno} passes its input by name")
    return [source.replaced(call, source.text_of(inner))]


def _first_argument(source: Source, edit: Edit, _: Names) -> list[Cut]:
    call = source.call_at(_needed(edit.place))
    first = call.args[0] if call.args else None
    if not (isinstance(first, ast.Call) and isinstance(first.func, ast.Attribute)
            and first.func.attr == "parameters" and not first.args):
        raise Unsure(f"line {call.lineno} does not pass the parameters of one module")
    root: ast.expr = first.func.value
    while isinstance(root, (ast.Attribute, ast.Subscript)):
        root = root.value
    if not isinstance(root, ast.Name) or root.id == "self":
        raise Unsure(f"line {call.lineno} does not say which model the parameters are of")
    return [source.replaced(first, f"{root.id}.parameters()")]


def _squeeze_output(source: Source, edit: Edit, names: Names) -> list[Cut]:
    forward = source.method(names.model, "forward")
    returns = [node for node in ast.walk(forward) if isinstance(node, ast.Return)]
    if len(returns) != 1 or returns[0].value is None:
        raise Unsure(f"{names.model}.forward returns in {len(returns)} places")
    value = returns[0].value
    simple = isinstance(value, (ast.Call, ast.Name, ast.Attribute, ast.Subscript))
    text = source.text_of(value)
    return [source.replaced(value, f"{text if simple else f'({text})'}{edit.code}")]


def _after_construction(source: Source, edit: Edit, names: Names) -> list[Cut]:
    code = edit.code
    if not source.binds("nn"):
        if not source.binds("torch"):
            raise Unsure("the file imports neither torch nor torch.nn under its own name")
        code = code.replace("nn.", "torch.nn.")
    name = names.roles.get("model", "")
    return source.after_construction(name, names.model, code)


def _prefix(source: Source, function: ast.expr) -> str:
    """Return what stands before the name that is called ("nn.")."""
    if isinstance(function, ast.Attribute):
        return f"{source.text_of(function.value)}."
    if source.binds("nn"):
        return "nn."
    raise Unsure(f"line {function.lineno} calls a name that was imported alone")


def _needed(place: Place | None) -> Place:
    if place is None:
        raise Unsure("the line is not known")
    return place


_MAKERS = {
    "set-keyword": _set_keyword, "replace-call": _replace_call, "drop-call": _drop_call,
    "rename-call": _rename_call, "after-construction": _after_construction,
    "squeeze-output": _squeeze_output, "first-argument": _first_argument,
}
