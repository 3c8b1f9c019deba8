"""Writes a target file out of what was found in a training script."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from auditor import rolenames
from auditor.draft import Draft
from auditor.startloss import loss_parts
from auditor.starttrainer import trainer_parts
from auditor.survey import Survey
from auditor.syntax import bound, needed

_HEAD = ('"', "import ", "from ")


@dataclass(frozen=True)
class Start:
    """A target file.

    Attributes:
        text: Its content.
        found: What it holds, in words.
        missing: What was not found, in words.
        is_complete: Model and training data are there.
    """

    text: str
    found: tuple[str, ...]
    missing: tuple[str, ...]
    is_complete: bool


def start(seen: Survey, module: str) -> Start:
    """Return a target file for a script that is imported under `module`."""
    draft = Draft(seen.script, seen.scope, module)
    found: list[str] = []
    blocks: list[str] = []
    # What does not need the model comes first: the rest is made anew with every model.
    if _is_trainer_class(seen):
        blocks += trainer_parts(draft, seen, found)
    else:
        blocks += _data(draft, seen, found)
        blocks += loss_parts(draft, seen, found)
        blocks += _optimizer(draft, seen, found)
    model = _model(draft, seen, found)
    about = (f'"""What `audit run` looks at; `audit init` took it from {seen.script.path.name}.\n\n'
             'It is yours: change what was not understood.\n"""')
    head = draft.head()
    missing = [*_missing(seen, found), *draft.missing]
    is_complete = {"model", "training data"} <= {item.partition(":")[0] for item in found}
    return Start(_joined([about, *head, *model, *blocks]), tuple(found), tuple(missing),
                 is_complete)


def is_target(seen: Survey) -> bool:
    """Tell whether the script can be audited as it is: its own names are those looked for."""
    names = bound(seen.script.module.body)
    gives_loss = names & {*rolenames.LOSS, *rolenames.STEP} or seen.trainer is not None
    return (seen.script.is_safe and bool(gives_loss) and bool(names & set(rolenames.MODEL))
            and bool(names & set(rolenames.TRAIN_LOADER)))


def _is_trainer_class(seen: Survey) -> bool:
    return seen.trainer is not None and not isinstance(seen.trainer.func, ast.Attribute)


def _data(draft: Draft, seen: Survey, found: list[str]) -> list[str]:
    aliases = []
    for name, usual, role in ((seen.train, rolenames.TRAIN_LOADER, "training data"),
                              (seen.val, rolenames.VAL_LOADER, "validation data")):
        if not name:
            continue
        draft.share(draft.part([name], [seen.model]))
        found.append(f"{role}: {name}")
        if name not in usual:
            aliases.append(f"{usual[0]} = {name}")
    return ["\n".join(aliases)] if aliases else _data_module(draft, seen, found)


def _data_module(draft: Draft, seen: Survey, found: list[str]) -> list[str]:
    """Share a Lightning DataModule; a LightningModule may also bring its data itself."""
    if seen.trainer is None or seen.train:
        return []
    words = {word.arg: word.value for word in seen.trainer.keywords}
    given = words.get("datamodule") or next(iter(seen.trainer.args[1:2]), None)
    if isinstance(given, ast.Name):
        draft.share(draft.part([given.id], [seen.model]))
        found.append(f"training data: {given.id}")
    elif given is not None:
        draft.need(given)
        found.append("training data: the DataModule")
        return [f"datamodule = {ast.unparse(given)}"]
    else:
        found.append("training data: of the LightningModule")
    return []


def _optimizer(draft: Draft, seen: Survey, found: list[str]) -> list[str]:
    """Return functions that make optimizer and scheduler for a new model."""
    if seen.optimizer is None:
        return []
    name, _ = seen.optimizer
    if draft.is_imported:
        wanted = [name, *([seen.scheduler[0]] if seen.scheduler else [])]
        draft.part(wanted)
        found.append(f"optimizer: {', '.join(wanted)}")
        return [f"optimizer = {name}"] if name not in rolenames.OPTIMIZER else []
    blocks = [_function("optimizer", seen.model or "model", name, draft)]
    found.append(f"optimizer: {ast.unparse(seen.optimizer[1].func)}")
    if seen.scheduler:
        blocks.append(_function("scheduler", name, seen.scheduler[0], draft))
        found.append(f"scheduler: {ast.unparse(seen.scheduler[1].func)}")
    return blocks


def _function(role: str, given: str, made: str, draft: Draft) -> str:
    """Return `def role(given)` that makes a variable; what does not depend on `given` is shared."""
    inside, moving = [], {given}
    for statement in draft.part([made], [given]):
        if needed(statement) & moving:
            inside.append(statement)
            moving |= {node.id for node in ast.walk(statement)
                       if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        else:
            draft.share([statement])
    return function_text(role, [given], draft, inside, made)


def function_text(
    name: str, arguments: Sequence[str], draft: Draft, body: Sequence[ast.stmt], result: str,
) -> str:
    """Return the text of a function that makes a variable and returns it."""
    *before, last = body or [ast.Pass()]
    lines = [draft.text_of(item) for item in before]
    if (isinstance(last, ast.Assign) and len(last.targets) == 1
            and isinstance(last.targets[0], ast.Name) and last.targets[0].id == result):
        lines.append(f"return {ast.unparse(last.value)}")
    else:
        lines += [*([draft.text_of(last)] if body else []), f"return {result}"]
    inner = textwrap.indent("\n".join(lines), "    ")
    return f"def {name}({', '.join(arguments)}):\n{inner}"


def _joined(parts: Sequence[str]) -> str:
    """Return the parts of a file: definitions with room around them, other lines together."""
    text, before = "", ""
    for part in parts:
        apart = any(item.startswith(("def ", "class ", "@")) for item in (part, before))
        if text:
            text += "\n\n\n" if apart else "\n\n" if before.startswith(_HEAD) else "\n"
        text, before = text + part, part
    return text + "\n"


def _model(draft: Draft, seen: Survey, found: list[str]) -> list[str]:
    name = seen.model
    if not name and not seen.module_class:
        return []
    if not name:
        draft.need(ast.Name(seen.module_class, ast.Load()))
        found.append(f"model: {seen.module_class}")
        return [function_text("build_model", [], draft, [], f"{seen.module_class}()")]
    found.append(f"model: {name}")
    part = draft.part([name])
    if draft.is_imported:
        return [f"model = {name}"] if name not in rolenames.MODEL else []
    if draft.reads(name):
        # Data or loss are made out of the model: they all belong to one.
        draft.share(part)
        return [f"model = {name}"] if name not in rolenames.MODEL else []
    draft.share_definitions(part)
    shared = draft.shared_statements()
    body = [item for item in part if item not in shared]
    return [function_text("build_model", [], draft, body, name)]


def _missing(seen: Survey, found: Sequence[str]) -> list[str]:
    told = {item.partition(":")[0] for item in found}
    says = {
        "model": "a model: write a function build_model() that returns it",
        "training data": "training data: give a loader the name train_loader",
        "validation data": "validation data: what compares training with validation is left out",
        "optimizer": "an optimizer: AdamW(lr=1e-3) stands in for it",
        "loss": "a loss: write loss_fn(output, target) or training_step(model, batch)",
    }
    has_own = seen.trainer is not None  # Lightning and Hugging Face train with their own.
    return [text for role, text in says.items()
            if role not in told and not (has_own and role in ("loss", "optimizer"))]
