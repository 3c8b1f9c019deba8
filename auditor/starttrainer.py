"""What a Hugging Face Trainer is given, as loaders and an optimizer."""

from __future__ import annotations

import ast

from auditor.draft import Draft
from auditor.survey import Survey
from auditor.syntax import dotted, same_scope

# The defaults of TrainingArguments.
_BATCH, _RATE, _DECAY = "8", "5e-5", "0.0"


def trainer_parts(draft: Draft, seen: Survey, found: list[str]) -> list[str]:
    """Return loaders and optimizer as the Trainer would make them."""
    assert seen.trainer is not None
    given = _words(seen.trainer)
    settings = _settings(seen, given.get("args"))
    blocks = [_loaders(draft, given, settings, found), _optimizer(draft, settings)]
    found += ["optimizer: AdamW, as the Trainer makes it", "loss: inside the model"]
    name = dotted(seen.trainer.func)
    own = next((item for item in seen.script.module.body
                if isinstance(item, ast.ClassDef) and item.name == name), None)
    if own is not None:
        draft.missing.append(f"what the class {name} does otherwise than the Trainer of the "
                             "library: write training_step(model, batch) if it has its own loss")
    return blocks


def _words(call: ast.Call) -> dict[str, ast.expr]:
    return {word.arg: word.value for word in call.keywords if word.arg}


def _settings(seen: Survey, given: ast.expr | None) -> dict[str, ast.expr]:
    """Return what TrainingArguments is called with."""
    if isinstance(given, ast.Call):
        return _words(given)
    for statement in (*seen.scope.body, *seen.scope.rest):
        for node in same_scope(statement):
            if (isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
                    and isinstance(given, ast.Name)
                    and any(isinstance(target, ast.Name) and target.id == given.id
                            for target in node.targets)):
                return _words(node.value)
    return {}


def _loaders(
    draft: Draft, given: dict[str, ast.expr], settings: dict[str, ast.expr], found: list[str],
) -> str:
    draft.say("from torch.utils.data import DataLoader")
    collator = _text(draft, given.get("data_collator"), "")
    if not collator:
        draft.say("from transformers import default_data_collator")
        collator = "default_data_collator"
    lines = []
    for role, word, size, mixed in (
        ("train", "train_dataset", "per_device_train_batch_size", ", shuffle=True"),
        ("val", "eval_dataset", "per_device_eval_batch_size", ""),
    ):
        if word in given:
            data = _text(draft, given[word], "")
            batch = _text(draft, settings.get(size), _BATCH)
            lines.append(f"{role}_loader = DataLoader(\n    {data}, batch_size={batch}{mixed}, "
                         f"collate_fn={collator})")
            found.append(f"{'training' if role == 'train' else 'validation'} data: {data}")
    return "\n".join(lines)


def _optimizer(draft: Draft, settings: dict[str, ast.expr]) -> str:
    draft.say("import torch")
    rate = _text(draft, settings.get("learning_rate"), _RATE)
    decay = _text(draft, settings.get("weight_decay"), _DECAY)
    return ("def optimizer(model):\n    return torch.optim.AdamW("
            f"model.parameters(), lr={rate}, weight_decay={decay})")


def _text(draft: Draft, node: ast.expr | None, default: str) -> str:
    if node is None:
        return default
    draft.need(node)
    return ast.unparse(node)
