"""How a model is put together: stacks that repeat a module, and modules that are not registered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

_STACKS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
# How deep plain containers and objects are searched, and how many things are looked at.
_DEPTH = 4
_MOST = 20_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a stack.

    Attributes:
        path: Of the entry's first name.
        module: It.
        names: Under how many names the stack holds it.
    """

    path: str
    module: nn.Module
    names: int


def stack_entries(model: nn.Module) -> Iterator[Entry]:
    """Yield the entries with parameters of every Sequential, ModuleList and ModuleDict."""
    for path, stack in model.named_modules():
        if not isinstance(stack, _STACKS):
            continue
        counts = Counter(id(child) for child in stack._modules.values())
        for name, child in stack.named_children():
            if next(child.parameters(), None) is not None:
                yield Entry(f"{path}.{name}".lstrip("."), child, counts[id(child)])


def unregistered_modules(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield modules that the model keeps in plain attributes, lists, dicts or objects, by name."""
    known = {id(module) for module in model.modules()}
    left = [_MOST]
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if name not in _BOOKKEEPING:
                yield from _search(f"{path}.{name}".lstrip("."), value, known, _DEPTH, left)


_BOOKKEEPING = frozenset(vars(nn.Module()))


def _search(
    name: str, value: Any, known: set[int], depth: int, left: list[int],
) -> Iterator[tuple[str, nn.Module]]:
    left[0] -= 1
    if depth < 0 or left[0] < 0:
        return
    if isinstance(value, nn.Module):
        if id(value) not in known:
            known.update(id(module) for module in value.modules())
            yield name, value
        return
    for inner, item in _items(value):
        yield from _search(f"{name}{inner}", item, known, depth - 1, left)


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a plain container or a plain object holds, with the text that leads to it."""
    if isinstance(value, Mapping):
        yield from ((f"[{key!r}]", item) for key, item in value.items())
    elif isinstance(value, (list, tuple, set)):
        yield from ((f"[{index}]", item) for index, item in enumerate(value))
    elif type(value).__module__.split(".")[0] not in _OPAQUE and not isinstance(value, type):
        own = getattr(value, "__dict__", None)
        if isinstance(own, dict) and not callable(value):
            yield from ((f".{key}", item) for key, item in own.items())


_OPAQUE = frozenset({"builtins", torch.__name__, "numpy", "collections", "functools", "logging"})
