"""Watches some functions of a forward pass only, at the least cost, and without hooks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from typing import Any, TypeAlias

from torch import nn
from torch.overrides import TorchFunctionMode

from auditor.modulehooks import is_transformed
from auditor.recorder import Frame, is_leaf, to_our_account

# Takes a call: name of the layer, function, positional arguments, others, output.
Told: TypeAlias = Callable[
    [str, Callable[..., Any], tuple[Any, ...], dict[str, Any], Any], None]
# Its frames know little but the module, so that they are quick to read.
_MODULE_CALL = nn.Module.__call__.__code__


class FunctionWatcher(TorchFunctionMode):
    """Tells of some functions only, under the same names, and without hooks on modules.

    These cost more than all else in a small model. The module that calls is looked up in the
    frames above a call.

    Args:
        model: The model, whose modules have paths.
        functions: What is told of.
        told: Takes the name of the layer, the function, its arguments and its output.
    """

    def __init__(
        self, model: nn.Module, functions: Collection[Callable[..., Any]],
        told: Told,
    ) -> None:
        super().__init__()
        self._functions = functions
        self._told = told
        self._paths = {id(m): (path, is_leaf(m)) for path, m in model.named_modules()}
        self._seen: dict[str, int] = {}

    def __enter__(self) -> FunctionWatcher:
        """Begin a pass."""
        self._seen.clear()
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None,
    ) -> Any:
        """Run the function, then tell of it."""
        output = func(*args, **kwargs) if kwargs else func(*args)
        if func in self._functions and not is_transformed() and (name := self._name(func)):
            count = self._seen[name] = self._seen.get(name, 0) + 1
            with to_our_account(name):
                self._told(name if count == 1 else f"{name}#{count}", func, args, kwargs or {},
                           output)
        return output

    def _name(self, func: Callable[..., Any]) -> str:
        """Return the name of the layer that calls, empty outside of all modules."""
        kinds = ""
        frame: Frame | None = sys._getframe(2)
        while frame is not None:
            if frame.f_code is _MODULE_CALL:
                module: nn.Module = frame.f_locals["self"]
                known = self._paths.get(id(module))
                if known is not None and not kinds:
                    return known[0] if known[1] else f"{known[0]}:{func.__name__.rstrip('_')}"
                if known is not None:
                    return f"{known[0]}.{kinds}".lstrip(".")
                kinds = kinds or _spelled(module, func)
            frame = frame.f_back
        return kinds


def _spelled(module: nn.Module, func: Callable[..., Any]) -> str:
    """Return the name of a call in a module that is none of the model's."""
    kind = f"({type(module).__name__})"
    return kind if is_leaf(module) else f"{kind}:{func.__name__.rstrip('_')}"
