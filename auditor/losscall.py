"""The calls of a loss function, as the loss itself saw them: input, target and settings.

Users wrap losses in training steps, in models and in classes of their own; what reaches
`F.cross_entropy` is the same in all of them.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from torch import Tensor

from auditor import functions
from auditor.functions import NODE_ACTIVATIONS, Activation
from auditor.recorder import Call

# Nodes of the autograd graph that change the shape or the type of a tensor, not its values.
_TRANSPARENT = (
    "View", "Unsafe", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "TBackward", "Permute",
    "Select", "Slice", "ToCopy", "Clone", "Alias", "Expand", "Contiguous", "Index",
)

_PADS = ("Cat", "ConstantPad")


@dataclass(frozen=True, slots=True)
class LossCall:
    """One call of a loss function.

    Attributes:
        name: Of the functional form, for example "cross_entropy".
        input: First tensor; detached.
        target: What it was compared with; None for losses without one.
        settings: All other arguments by name ("reduction", "ignore_index", "weight", ...).
        activation: The activation that made the input, when nothing came between; None if none.
        raised: The loss refused its arguments.
    """

    name: str
    input: Tensor
    target: Tensor | None
    settings: dict[str, Any]
    activation: Activation | None
    raised: bool

    @property
    def reduction(self) -> str:
        """"mean", "sum" or "none"."""
        return str(self.settings.get("reduction", "mean"))


class LossCalls:
    """Listens for loss functions."""

    def __init__(self) -> None:
        self.calls: list[LossCall] = []

    def on_function(self, call: Call) -> None:
        """Keep the arguments of a loss call."""
        known = functions.LOSSES.get(call.function) if call.function else None
        if known is None:
            return
        name, tensors = known
        assert call.function is not None
        bound = _bind(call.function, call.args, call.kwargs)
        source = bound.get(tensors[0])
        target = bound.get(tensors[-1]) if "target" in tensors[-1] else None
        if not isinstance(source, Tensor):
            return
        self.calls.append(LossCall(
            name=name,
            input=source.detach(),
            target=target.detach() if isinstance(target, Tensor) else None,
            settings={k: v for k, v in bound.items() if k not in tensors},
            activation=final_activation(source),
            raised=call.output is None,
        ))

    def on_module(self, call: Call) -> None:
        """Modules say nothing about losses that their functions do not."""


def final_activation(tensor: Tensor, *, padded: bool = False) -> Activation | None:
    """Return the activation function that made a tensor, looking through changes of shape.

    Args:
        tensor: Any shape; without a graph nothing can be seen and None is returned.
        padded: Look through constants beside it too, such as a class without a score of its own.
    """
    node = tensor.grad_fn
    while node is not None:
        name = node.name()
        if name in NODE_ACTIVATIONS:
            return NODE_ACTIVATIONS[name]
        if not (is_transparent(node) or (padded and name.startswith(_PADS))):
            return None
        parents = [parent for parent, _ in node.next_functions if parent is not None]
        node = parents[0] if len(parents) == 1 else None
    return None


def is_transparent(node: Any) -> bool:
    """Tell whether a node of the autograd graph changes only the shape or the type of a tensor."""
    name: str = node.name()
    return name.startswith(_TRANSPARENT)


def _bind(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    try:
        bound = _signature(function).bind(*args, **kwargs)
    except (TypeError, ValueError):
        # The call itself raised a TypeError already, or is about to.
        return dict(kwargs)
    bound.apply_defaults()
    return dict(bound.arguments)


@lru_cache(maxsize=64)
def _signature(function: Any) -> inspect.Signature:
    return inspect.signature(function)
