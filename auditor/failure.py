"""Says more about a forward pass that failed: in which layer, and on what batch."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from torch import nn

from auditor import batches
from auditor.errors import TargetError
from auditor.target import Target
from auditor.usercode import code_frame


def explain_failure(problem: TargetError, target: Target, model: nn.Module, batch: Any) -> None:
    """Add the layer that failed, the line that makes it, and the batch's shapes to an error.

    Args:
        problem: Made by `user_code`, which chains what the user's code raised.
        target: Knows the places of the layers.
        model: Whose forward pass failed.
        batch: That it was given.
    """
    trace = problem.__cause__.__traceback__ if problem.__cause__ is not None else None
    path = _innermost_layer(trace, model)
    hints = [f"The batch holds: {batches.describe(batch)}."]
    if path is not None:
        name = path or "the model"
        hints.insert(0, f"It failed in {name} ({type(model.get_submodule(path)).__name__}).")
        place = target.places.get(path)
        if not problem.where and place is not None:
            problem.where = code_frame(place.file, place.line)
    if not problem.hint:
        problem.hint = " ".join(hints)


def _innermost_layer(trace: TracebackType | None, model: nn.Module) -> str | None:
    paths = {id(module): path for path, module in model.named_modules()}
    found = None
    while trace is not None:
        found = paths.get(id(trace.tb_frame.f_locals.get("self")), found)
        trace = trace.tb_next
    return found
