"""Keeps the user's objects as they are when the target was not loaded from a file but made by them.

Its factories reach objects of the user's through closures and global names: a live model, a loss
with weights, a teacher, an optimizer. Trials may change those, so they are put back.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from types import FunctionType, MethodType
from typing import Any

from torch import nn

from auditor.keepsakes import Keepsakes
from auditor.target import Target
from auditor.usercode import is_users

_FACTORIES = ("make_model", "make_train_loader", "make_val_loader", "make_optimizer",
              "make_scheduler", "compute", "loss_fn")


def guarded(target: Target) -> tuple[Target, Callable[[], None]]:
    """Return a target whose models start from the user's objects as they are now.

    Returns:
        The target, and what puts the user's objects back at the end. A target that was loaded from
        a file is returned as it is: it does so itself.
    """
    if target.surroundings is not nullcontext:
        return target, lambda: None
    keepsakes = Keepsakes(reachable(target))

    def make_model() -> nn.Module:
        keepsakes.restore()
        return target.make_model()

    return replace(target, make_model=make_model), keepsakes.restore


def reachable(target: Target) -> Iterator[object]:
    """Yield the objects that the factories of a target reach by name."""
    seen: set[int] = set()
    waiting: list[object] = [getattr(target, name) for name in _FACTORIES]
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        yield value
        waiting += _reached_from(value)


def _reached_from(value: object) -> Iterator[object]:
    if isinstance(value, functools.partial):
        yield from (value.func, *value.args, *value.keywords.values())
    elif isinstance(value, MethodType):
        yield from (value.__func__, value.__self__)
    elif isinstance(value, FunctionType):
        yield from _named_in(value)
    elif type(value).__module__.startswith("auditor.") and not isinstance(value, type):
        # Our own ways to compute a loss hold the user's function.
        yield from getattr(value, "__dict__", {}).values()


def _named_in(function: FunctionType) -> Iterator[object]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:
            # A name that has no value yet.
            continue
    if is_users(function.__code__.co_filename):
        names: Mapping[str, Any] = function.__globals__
        yield from (names[name] for name in function.__code__.co_names if name in names)
