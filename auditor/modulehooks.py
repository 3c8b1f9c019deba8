"""Hooks on the calls of all modules, for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.nn.modules import module as hooks


@contextmanager
def on_calls(
    enter: Callable[[nn.Module, Any], None], leave: Callable[[nn.Module, Any, Any], None],
) -> Iterator[None]:
    """Call `enter(module, args)` before and `leave(module, args, output)` after each module's call.

    `leave` is called with None where a forward raises. No hook is left behind.
    """
    handles = (hooks.register_module_forward_pre_hook(enter),
               hooks.register_module_forward_hook(leave, always_call=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
