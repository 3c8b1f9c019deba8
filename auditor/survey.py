"""Finds model, data, loss and optimizer in a training script, without running it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from auditor.script import Scope, Script
from auditor.syntax import base_name, bound, calls, dotted, same_scope

_LOADER = re.compile(r"(loader|_dl|_iter|^dl|batches)$|^(train|val|valid|test)_?(dl|iter)$", re.I)
_VALIDATION = re.compile(r"val|dev|test|eval", re.I)
_TRAINING = re.compile(r"train", re.I)
_FIT: tuple[str | None, ...] = ("model", "train_dataloaders", "val_dataloaders")
_OPTIMIZERS = frozenset({
    "adam", "adamw", "adamax", "nadam", "radam", "sgd", "rmsprop", "adagrad", "adadelta", "lion",
    "lamb", "adafactor", "muon", "lbfgs",
})
_LIGHTNING = frozenset({"lightning", "pytorch_lightning"})
_MODULE_BASES = ("Module", "LightningModule", "PreTrainedModel")


@dataclass(frozen=True)
class Loop:
    """Where the gradient is taken.

    Attributes:
        function: The function that holds the loop; None at the scope's own level.
        data: Name of what it runs over; empty if that is no plain name.
        item: What one batch is unpacked into.
        body: Its statements.
        loss: The expression of the loss; None if it was not understood.
        loss_name: The variable whose gradient is taken.
    """

    function: ast.FunctionDef | ast.AsyncFunctionDef | None
    data: str
    item: ast.expr
    body: Sequence[ast.stmt]
    loss: ast.expr | None
    loss_name: str


@dataclass(frozen=True)
class Survey:
    """What was found, as names of the scope's variables.

    Attributes:
        script: The file.
        scope: Where the things are made.
        model: Variable of the model.
        train: Variable of the training data; val: of the validation data.
        optimizer: Its variable and the call that makes it.
        scheduler: Its variable and the call that makes it.
        loop: The training loop.
        trainer: The call of a Trainer that takes model and data, or of its `fit`.
        module_class: A model class of the file, for when no variable holds one.
    """

    script: Script
    scope: Scope
    model: str = ""
    train: str = ""
    val: str = ""
    optimizer: tuple[str, ast.Call] | None = None
    scheduler: tuple[str, ast.Call] | None = None
    loop: Loop | None = None
    trainer: ast.Call | None = None
    module_class: str = ""

    @property
    def score(self) -> int:
        """How many of the things that an audit needs were found here."""
        found = (self.model, self.train, self.optimizer, self.trainer, self.loop, self.val)
        return sum(bool(item) for item in found)


def survey(script: Script) -> Survey:
    """Return what the scope that holds most of it has."""
    loops = [loop for scope in script.scopes for loop in _loops(scope)]
    found = [_look(script, scope, loops) for scope in script.scopes]
    return max(found, key=lambda item: item.score)


def _look(script: Script, scope: Scope, loops: Sequence[Loop]) -> Survey:
    made = dict(_made(scope.body))
    classes = frozenset(_module_classes(script))
    optimizer = next(((name, call) for name, call in made.items() if _is_optimizer(call)), None)
    loop = next((item for item in loops if item.function is scope.function), None) or next(
        iter(loops), None)
    trainer = next((node for statement in (*scope.body, *scope.rest)
                    for node in same_scope(statement)
                    if isinstance(node, ast.Call) and _is_trainer(node, script)), None)
    model = _model_name(made, optimizer, classes)
    names = bound((*script.module.body, *script.guard.body, *scope.body))
    train, val = _data_names(names, made, loop if made else None)
    given = _from_fit(trainer) if trainer else {}
    return Survey(
        script, scope, given.get("model", model), given.get("train", train), given.get("val", val),
        optimizer, _scheduler(made, optimizer), loop if made else None, trainer,
        next(iter(sorted(classes)), ""),
    )


def _made(body: Sequence[ast.stmt]) -> Iterator[tuple[str, ast.Call]]:
    """Yield variables and the calls that make them; a later one replaces an earlier one."""
    for statement in body:
        for node in same_scope(statement):
            if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
                continue
            for target in node.targets:
                names = target.elts if isinstance(target, ast.Tuple) else [target]
                yield from ((name.id, node.value) for name in names if isinstance(name, ast.Name))


def _model_name(
    made: dict[str, ast.Call], optimizer: tuple[str, ast.Call] | None, classes: frozenset[str],
) -> str:
    for call in calls(optimizer[1]) if optimizer else ():
        if isinstance(call.func, ast.Attribute) and "parameters" in call.func.attr:
            name = base_name(call.func)
            if name in made:
                return name
    named = (name for name in ("model", "net", "network", "classifier") if name in made)
    return next(named, "") or next(
        (name for name, call in made.items() if base_name(call.func) in classes), "")


def _data_names(
    names: set[str], made: dict[str, ast.Call], loop: Loop | None,
) -> tuple[str, str]:
    loaders = [name for name, call in made.items()
               if dotted(call.func).endswith("DataLoader") or _LOADER.search(name)]
    train = loop.data if loop and loop.data in names else ""
    train = train or next((name for name in loaders if _TRAINING.search(name)), "") or next(
        (name for name in loaders if not _VALIDATION.search(name)), "")
    val = next((name for name in loaders if name != train and _VALIDATION.search(name)), "")
    return train, val


def _scheduler(
    made: dict[str, ast.Call], optimizer: tuple[str, ast.Call] | None,
) -> tuple[str, ast.Call] | None:
    if optimizer is None:
        return None
    return next(((name, call) for name, call in made.items() if name != optimizer[0] and any(
        isinstance(item, ast.Name) and item.id == optimizer[0] for item in call.args)
        and "sched" in f"{name} {dotted(call.func)}".lower()), None)


def _from_fit(call: ast.Call) -> dict[str, str]:
    """Return the variables that a Trainer, or the `fit` of one, is called with."""
    if not isinstance(call.func, ast.Attribute):
        model = next((word.value for word in call.keywords if word.arg == "model"), None)
        return {"model": model.id} if isinstance(model, ast.Name) else {}
    given: dict[str | None, ast.expr] = {
        **dict(zip(_FIT, call.args, strict=False)),
        **{word.arg: word.value for word in call.keywords},
    }
    return {role: value.id for role, name in zip(("model", "train", "val"), _FIT, strict=True)
            if isinstance(value := given.get(name), ast.Name)}


def _loops(scope: Scope) -> Iterator[Loop]:
    for statement in (*scope.body, *scope.rest):
        for node in same_scope(statement):
            if isinstance(node, ast.For) and not any(
                    isinstance(inner, ast.For) and _gradient(inner)
                    for child in node.body for inner in same_scope(child)):
                name = _gradient(node)
                if name:
                    yield _loop(scope, node, name)


def _loop(scope: Scope, node: ast.For, loss_name: str) -> Loop:
    data, item = node.iter, node.target
    while isinstance(data, ast.Call) and data.args:
        if dotted(data.func) == "enumerate" and isinstance(item, ast.Tuple):
            item = item.elts[-1]
        data = data.args[0]
    before = [
        inner.value for child in node.body for inner in same_scope(child)
        if isinstance(inner, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == loss_name for target in inner.targets)]
    return Loop(scope.function, data.id if isinstance(data, ast.Name) else "", item, node.body,
                before[0] if len(before) == 1 else None, loss_name)


def _gradient(node: ast.AST) -> str:
    """Return the variable whose gradient is taken directly in a loop; empty if none is."""
    for call in calls(node):
        if isinstance(call.func, ast.Attribute) and call.func.attr == "backward":
            inner = call.func.value
            around = [*call.args, *(inner.args if isinstance(inner, ast.Call) else ())]
            names = [item for item in (inner, *around) if isinstance(item, ast.Name)]
            # `scaler.scale(loss).backward()`, `accelerator.backward(loss)`, `loss.backward()`
            return next((name.id for name in reversed(names)), "")
    return ""


def _module_classes(script: Script) -> Iterator[str]:
    for node in (*script.module.body, *script.module.rest):
        if isinstance(node, ast.ClassDef) and any(
                dotted(base).rpartition(".")[2] in _MODULE_BASES for base in node.bases):
            yield node.name


def _is_optimizer(call: ast.Call) -> bool:
    name = dotted(call.func).lower()
    takes = any(isinstance(inner.func, ast.Attribute) and inner.func.attr == "parameters"
                for argument in call.args for inner in calls(argument))
    is_known = name.rpartition(".")[2] in _OPTIMIZERS
    return "sched" not in name and (takes or is_known or ".optim." in f".{name}")


def _is_trainer(call: ast.Call, script: Script) -> bool:
    if isinstance(call.func, ast.Attribute) and call.func.attr == "fit":
        return (bool(script.libraries & _LIGHTNING)
                and "trainer" in ast.unparse(call.func.value).lower())
    words = {word.arg for word in call.keywords}
    return dotted(call.func).endswith("Trainer") and {"model", "train_dataset"} <= words


