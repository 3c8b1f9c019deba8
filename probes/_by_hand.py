"""Losses that are written by hand: an activation in the loss on what an activation has made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import Tensor

from auditor.functions import ACTIVATIONS, LOGSUMEXPS, Activation
from auditor.graphreader import nodes_behind
from auditor.losscall import final_activation
from auditor.recorder import Call, tensors_in

# What the loss applies -> what then must not have been applied before.
_AGAIN = {
    "softmax": ("softmax",),
    "log_softmax": ("softmax", "sigmoid", "hardsigmoid"),
    "logsumexp": ("softmax",),
    "sigmoid": ("sigmoid", "hardsigmoid"),
    "logsigmoid": ("sigmoid", "hardsigmoid"),
}


class Twice(NamedTuple):
    """An activation of the loss on the output of another one.

    Attributes:
        name: The function that the loss calls.
        earlier: What made its input.
    """

    name: str
    earlier: Activation


@dataclass
class ByHand:
    """Listens for the activations that are called outside of the model."""

    found: list[Twice] = field(default_factory=list)
    _nodes: list[tuple[Twice, Any]] = field(default_factory=list)

    def on_module(self, call: Call) -> None:
        """What a loss applies by itself is a function."""

    def on_function(self, call: Call) -> None:
        """Keep an activation of the user's loss on one of the model's."""
        assert call.function is not None
        known = ACTIVATIONS.get(call.function)
        name = known.name if known else "logsumexp" if call.function in LOGSUMEXPS else ""
        if name not in _AGAIN or not call.is_outside or not isinstance(call.output, Tensor):
            return
        source = next(tensors_in((call.args, call.kwargs)))
        earlier = final_activation(source, padded=True)
        alone = "sigmoid" not in name and source.shape[-1:] == (1,)
        if earlier is not None and earlier.name in _AGAIN[name] and not alone:
            self._nodes.append((Twice(name, earlier), call.output.grad_fn))

    def end_pass(self, loss: Tensor) -> None:
        """Keep those that the loss is computed from; others only count or show something."""
        if self._nodes:
            behind = set(nodes_behind(loss))
            self.found += [twice for twice, node in self._nodes if node in behind]
        self._nodes.clear()
