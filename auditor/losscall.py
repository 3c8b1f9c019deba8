"""The calls of a loss function, as the loss itself saw them: input, target and settings.

Users wrap losses in training steps, in models and in classes of their own; what reaches
`F.cross_entropy` is the same in all of them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from torch import Tensor

from auditor import functions
from auditor.functions import NODE_ACTIVATIONS, Activation
from auditor.recorder import Call
from auditor.writtenloss import WrittenLosses

# Nodes of the autograd graph that change the shape or the type of a tensor, not its values.
_TRANSPARENT = (
    "View", "Unsafe", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "TBackward", "Permute",
    "Select", "Slice", "ToCopy", "Clone", "Alias", "Expand", "Contiguous", "Index",
)
# Nodes that may put constants beside a tensor.
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
    """Listens for loss functions, and for squared and absolute errors written by hand.

    Attributes:
        calls: In their order.
        live: The input of the last one, with its graph; None after a pass.
    """

    def __init__(self) -> None:
        self.calls: list[LossCall] = []
        self.live: Tensor | None = None
        self._written: WrittenLosses | None = None
        self._by_hand: list[LossCall] = []
        self._begin = 0

    def begin_pass(self) -> None:
        """Follow what the model puts out in this pass."""
        self._written, self._by_hand, self._begin = WrittenLosses(), [], len(self.calls)

    def end_pass(self) -> None:
        """Let go of the graph, and of what may be figures for the log.

        Without a graph these cannot be told from the loss; an error that is written by hand counts
        there only where it is the one loss.
        """
        graph = self._written is None or self._written.with_graph
        if not graph and len(self.calls) - self._begin > 1:
            self.calls = [c for c in self.calls if all(c is not own for own in self._by_hand)]
        self.live, self._written, self._by_hand = None, None, []

    def on_answer(self, output: Any) -> None:
        """Note what the model puts out, which a loss written by hand begins with."""
        if self._written is not None:
            self._written.on_answer(output)

    def on_function(self, call: Call) -> None:
        """Keep the arguments of a loss call."""
        known = functions.LOSSES.get(call.function) if call.function else None
        if known is None:
            written = self._written.on_function(call) if call.is_outside and self._written else None
            if written is not None:
                self._add(written.name, written.input, written.target,
                          {"reduction": written.reduction})
                self._by_hand.append(self.calls[-1])
            return
        name, tensors = known
        assert call.function is not None
        bound = _bind(call.function, call.args, call.kwargs)
        source = bound.get(tensors[0])
        target = bound.get(tensors[-1]) if "target" in tensors[-1] else None
        if not isinstance(source, Tensor):
            return
        self._add(name, source, target if isinstance(target, Tensor) else None,
                  {k: v for k, v in bound.items() if k not in tensors},
                  raised=call.output is None)

    def _add(
        self, name: str, source: Tensor, target: Tensor | None, settings: dict[str, Any], *,
        raised: bool = False,
    ) -> None:
        self.live = source
        self.calls.append(LossCall(
            name=name,
            input=source.detach(),
            target=None if target is None else target.detach(),
            settings=settings,
            activation=final_activation(source),
            raised=raised,
        ))

    def on_module(self, call: Call) -> None:
        """Modules say nothing about losses that their functions do not."""


def final_activation(tensor: Tensor, *, padded: bool = False) -> Activation | None:
    """Return the activation function that made a tensor, looking through changes of shape.

    Args:
        tensor: Any shape; without a graph nothing can be seen and None is returned.
        padded: Look through constants beside it too, such as a class without a score of its own.
    """
    node = maker(tensor, lambda node: node.name() in NODE_ACTIVATIONS, padded=padded)
    return NODE_ACTIVATIONS[node.name()] if node is not None else None


def maker(tensor: Tensor, fits: Callable[[Any], bool], *, padded: bool = False) -> Any:
    """Return the node that made a tensor, looking through changes of shape; None if none fits.

    Args:
        tensor: Any shape.
        fits: Tells whether an autograd node is one of those looked for.
        padded: Look through constants beside the tensor too.
    """
    through = (*_TRANSPARENT, *_PADS) if padded else _TRANSPARENT
    node: Any = tensor.grad_fn
    while node is not None and not fits(node):
        parents = [parent for parent, _ in node.next_functions if parent is not None]
        passes = node.name().startswith(through) and len(parents) == 1
        node = parents[0] if passes else None
    return node


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
