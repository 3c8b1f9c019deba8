"""Hooks on the calls of all modules, for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as hooks


@contextmanager
def on_calls(
    enter: Callable[[nn.Module, Any], None], leave: Callable[[nn.Module, Any, Any], None],
) -> Iterator[None]:
    """Call `enter(module, args)` before and `leave(module, args, output)` after each module's call.

    `leave` is called with None where a forward raises. No hook is left behind. Calls inside of a
    function that torch.func transforms are passed over.
    """
    def before(module: nn.Module, args: Any) -> None:
        if not is_transformed():
            enter(module, args)

    def after(module: nn.Module, args: Any, output: Any) -> None:
        if not is_transformed():
            leave(module, args, output)

    handles = (hooks.register_module_forward_pre_hook(before),
               hooks.register_module_forward_hook(after, always_call=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def is_transformed() -> bool:
    """Tell whether this runs inside of a function that torch.func transforms (`vmap`, `jacrev`).

    Its tensors stand for others, have no memory of their own, and must not be kept.
    """
    return torch._C._functorch.peek_interpreter_stack() is not None
