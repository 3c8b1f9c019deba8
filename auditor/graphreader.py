"""Reads what activations put out from the autograd graph, where it keeps them anyway.

To watch every call of a forward pass costs a small model more than all that is looked at. Once two
watched passes in a row had the same graph, the outputs of the next ones are found in it, at the
places where they were; or the inputs, from which a sample of the outputs is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

Function: TypeAlias = Callable[..., Any]
Node: TypeAlias = Any

# Of each value alone, without random numbers; their nodes keep what they got. Rectifiers are
# missing, whose units are looked at.
_OF_EACH_VALUE = frozenset({
    "gelu", "silu", "mish", "hardswish", "elu", "selu", "celu", "leaky_relu", "softplus",
    "hardsigmoid", "hardtanh", "logsigmoid",
})

# Pushed by checkpoints and by those who keep saved tensors elsewhere: to read what such hooks have
# packed would compute or copy it once more. An older torch cannot be asked for them.
_packing: Callable[[bool], object] | None = getattr(
    torch._C._autograd, "_top_saved_tensors_default_hooks", None)
# The node at a leaf; its type has no public name.
_LEAF: type[Any] = type(torch.autograd.graph.get_gradient_edge(
    torch.zeros((), requires_grad=True)).node)


@dataclass(frozen=True, slots=True)
class Kept:
    """What a node keeps of an activation.

    Attributes:
        name: Of the layer.
        function: The activation.
        options: Positional and keyword arguments besides the input, where that is what is kept;
            None where the output is.
    """

    name: str
    function: Function
    options: tuple[tuple[Any, ...], tuple[tuple[str, Any], ...]] | None = None

    @property
    def attribute(self) -> str:
        """Of the node, that holds it."""
        return "_saved_result" if self.options is None else "_saved_self"

    @property
    def rest(self) -> Callable[[Tensor], Tensor] | None:
        """What makes outputs of what is kept; None where these are kept."""
        return None if self.options is None else self._applied

    def _applied(self, inputs: Tensor) -> Tensor:
        positional, named = self.options or ((), ())
        outputs: Tensor = self.function(inputs, *positional, **dict(named))
        return outputs


class GraphReader:
    """Learns where a graph keeps the outputs of activations, and reads them there.

    Attributes:
        is_ready: The outputs of the next pass can be read.
        is_of_use: They can, or it is not yet known; not where some output is not kept, or where
            the graph changes from pass to pass.
    """

    def __init__(self) -> None:
        self.is_ready = False
        self.is_of_use = _packing is not None
        self._notes = False
        self._noted: list[tuple[Kept, Node]] = []
        self._shape: list[object] = []
        self._places: list[tuple[Kept, int]] = []

    def begin(self, *, notes: bool) -> None:
        """Begin a watched pass: forget what an earlier one, that may not have ended, has put out.

        Args:
            notes: Its outputs are noted, so that `learn` may follow.
        """
        self._notes = notes and self.is_of_use
        self._noted.clear()

    def note(
        self, name: str, function: Function, args: tuple[Any, ...], kwargs: Mapping[str, Any],
        output: Tensor,
    ) -> None:
        """Note an output while the pass runs. It is held by its node until `learn` or `begin`."""
        if not self._notes:
            return
        node = output.grad_fn
        kept = None if node is None or _is_packed() else _kept(name, function, args, kwargs, output)
        if kept is None:
            self.give_up()
        else:
            self._noted.append((kept, node))

    def learn(self, loss: Tensor) -> None:
        """Learn from a pass, if its outputs were noted.

        Args:
            loss: What the pass gave, before its backward pass.
        """
        if not self._notes:
            return
        order = nodes_behind(loss)
        index = {node: place for place, node in enumerate(order)}
        shape = [_kind(node) for node in order]
        if any(node not in index for _, node in self._noted):
            self.give_up()
            return
        places = [(kept, index[node]) for kept, node in self._noted]
        self._noted.clear()
        self.is_ready = shape == self._shape and places == self._places
        if self._shape and not self.is_ready:
            self.give_up()
        self._shape, self._places = shape, places

    def read(self, loss: Tensor) -> Iterator[tuple[Kept, Tensor]]:
        """Yield what is kept of each activation of a pass that nobody watched.

        There is nothing, and there never will be, if the graph is another one.
        """
        order = nodes_behind(loss)
        if [_kind(node) for node in order] != self._shape:
            self.give_up()
            return
        for kept, place in self._places:
            try:
                tensor = getattr(order[place], kept.attribute)
            except RuntimeError:
                # Overwritten or freed; if that is a mistake, the backward pass will say so.
                self.give_up()
                return
            yield kept, tensor

    def give_up(self) -> None:
        """Read no more: passes have to be watched."""
        self.is_ready = self.is_of_use = self._notes = False
        self._noted.clear()


def _is_packed() -> bool:
    return _packing is None or _packing(False) is not None


def _kept(
    name: str, function: Function, args: tuple[Any, ...], kwargs: Mapping[str, Any],
    output: Tensor,
) -> Kept | None:
    """Return what the node of an output keeps, if it is the output or, alone, the input."""
    if _is_there(output.grad_fn, "_saved_result", output):
        return Kept(name, function)
    named = function.__name__.rstrip("_")
    if named not in _OF_EACH_VALUE or not args or not _is_there(
            output.grad_fn, "_saved_self", args[0]):
        return None
    return Kept(name, function, (args[1:], tuple(kwargs.items())))


def _is_there(node: Node, attribute: str, tensor: object) -> bool:
    kept = getattr(node, attribute, None)
    return (isinstance(kept, Tensor) and isinstance(tensor, Tensor)
            and kept.shape == tensor.shape and kept.data_ptr() == tensor.data_ptr())


def leaves_of(loss: Tensor) -> set[int]:
    """Return the ids of the leaves that the graph of a loss reaches."""
    return {id(node.variable) for node in nodes_behind(loss) if type(node) is _LEAF}


def nodes_behind(loss: Tensor) -> list[Node]:
    """Return the nodes of the graph below a loss, each after one that reads it."""
    order = [loss.grad_fn] if loss.grad_fn is not None else []
    seen = set(order)
    for node in order:
        for parent, _ in node.next_functions:
            if parent is not None and parent not in seen:
                seen.add(parent)
                order.append(parent)
    return order


def _kind(node: Node) -> object:
    """Return what tells a node from those of another layer: its operation, or its parameter."""
    return id(node.variable) if type(node) is _LEAF else type(node)
