"""Which operation was the first to put out a value that is not finite, forward or backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from auditor.recorder import Call, tensors_in


class FirstFault:
    """Listens to every call of a pass; `let_go` takes away the hooks that it sets.

    Those of what the pass computes die with it, those of the parameters would not.

    Attributes:
        forward: The first call whose output is not finite although its inputs are, in words.
        backward: The first call that sends back a gradient that is not finite, in words.
    """

    def __init__(self) -> None:
        self.forward = ""
        self.backward = ""
        self._handles: list[RemovableHandle] = []

    def let_go(self) -> None:
        """Take all hooks away, after the backward pass."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def on_module(self, call: Call) -> None:
        """Look at fused layers, whose inner operations are not seen."""
        self._look(call)

    def on_function(self, call: Call) -> None:
        """Look at the output; watch what the call sends back."""
        self._look(call)
        output = call.output
        with torch._C.DisableTorchFunction():
            if not isinstance(output, Tensor) or output.grad_fn is None:
                return
            look = self._sent_back_by(call.subject, _name(call.function))
            # The node knows what it alone sends back; a call of several nodes is told by what
            # arrives at its arguments, which have other readers too.
            self._handles.append(output.grad_fn.register_hook(lambda sent, got: look(*sent)))
            for tensor in tensors_in(call.args):
                if tensor.requires_grad:
                    self._handles.append(
                        tensor.register_hook(look))  # type: ignore[no-untyped-call]

    def _look(self, call: Call) -> None:
        if self.forward:
            return
        with torch.no_grad(), torch._C.DisableTorchFunction():
            masks = getattr(call.function, "__name__", "") in _MASKS
            broken = [t for t in tensors_in(call.output) if not _is_finite(t, masks)]
            if broken and all(_is_finite(t) for t in tensors_in((call.args, call.kwargs))):
                self.forward = _where(call.subject, _name(call.function or call.module))

    def _sent_back_by(self, subject: str, name: str) -> Callable[..., None]:
        def look(*gradients: Tensor | None) -> None:
            if not self.backward and any(g is not None and not _is_finite(g) for g in gradients):
                self.backward = _where(subject, name)

        return look


# Attention is masked with minus infinity on purpose.
_MASKS = frozenset({"masked_fill", "masked_fill_", "where", "triu", "full", "full_like", "fill_"})


def _is_finite(tensor: Tensor, masks: bool = False) -> bool:
    if not tensor.is_floating_point():
        return True
    finite = torch.isfinite(tensor)
    return bool((finite | torch.isneginf(tensor)).all() if masks else finite.all())


def _name(called: Any) -> str:
    return str(getattr(called, "__name__", type(called).__name__)).strip("_")


def _where(subject: str, name: str) -> str:
    layer = subject.partition(":")[0]
    return f"{name} in {layer}" if layer else name
