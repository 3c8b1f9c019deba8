"""The autograd graph below a loss: who reads whom, and which operations carry the data."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, TypeAlias

Node: TypeAlias = Any
# A residual sum or concatenation has what the branch began with on its other side: that carries on
# what the branch loses. In another sum, a branch of other layers or the data may.
End: TypeAlias = Literal["output", "join", "sum", "residual", "normalisation", "gate"]
# A residual branch has fewer nodes.
_BRANCH = 400

# Nodes that change the shape or the type of a tensor, not its values.
RESHAPES = (
    "View", "Unsafe", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "TBackward", "Permute",
    "Clone", "Alias", "AsStrided", "ToCopy", "CopySlices",
)
_PARTS = (*RESHAPES, "Select", "Slice", "Split", "Expand", "Neg", "Rsub", "Index", "Unbind")
_NORMS = ("BatchNorm", "LayerNorm", "GroupNorm", "InstanceNorm", "RMSNorm", "RmsNorm")
_PRODUCTS = ("Mul", "Bmm", "Mm", "Baddbmm", "Lerp", "Addcmul", "Where", "Div", "Dot")


class AutogradGraph:
    """The autograd graph below a loss: who reads whom, and what carries the data.

    Attributes:
        children: Node -> nodes that read it.
        feeding: Nodes behind which a layer lies.
    """

    def __init__(
        self, root: Node, layers: Mapping[Node, object], sources: set[Node], joins: set[Node],
        dropouts: set[Node], with_data: set[Node],
    ) -> None:
        self.children: dict[Node, list[Node]] = defaultdict(list)
        self._layers, self._joins, self._dropouts = layers, joins, dropouts
        self._with_data = with_data
        order = list(_postorder(root)) if root is not None else []
        self._carries: set[Node] = set()
        for node in order:
            parents = [parent for parent, _ in node.next_functions if parent is not None]
            for parent in parents:
                self.children[parent].append(node)
            if node in layers or any(parent in self._carries for parent in parents):
                self._carries.add(node)
        self.feeding: set[Node] = set()
        for node in reversed(order):
            if node in sources or any(child in self.feeding for child in self.children[node]):
                self.feeding.add(node)

    def carrying(self, node: Node) -> list[Node]:
        """Return the inputs of a node that depend on a layer, not on parameters alone."""
        return [parent for parent, _ in node.next_functions if parent in self._carries]

    def readers(self, node: Node) -> list[Node]:
        """Return what reads a layer's output, past its own inner nodes."""
        while True:
            found = self.children[node]
            if len(found) != 1 or self._layers.get(found[0]) is not self._layers.get(node):
                return found
            node = found[0]

    def linear_source(self, node: Node) -> object | None:
        """Return the layer that reaches a node by changes of shape, dropout and batch norms alone.

        The norms are linear in eval mode; those of instances (between two reshapes) are not.
        None where anything else reads a tensor on the way.
        """
        while node is not None and node not in self._layers:
            parents = self.carrying(node)
            if len(parents) != 1 or node in self._joins or len(self.children[node]) != 1 or not (
                    is_reshape(node) or node in self._dropouts or self._is_of_batches(node)):
                return None
            node = parents[0]
        return self._layers[node] if node is not None and len(self.readers(node)) == 1 else None

    def _is_of_batches(self, node: Node) -> bool:
        around = [*self.carrying(node), *self.children[node]]
        return "BatchNorm" in node.name() and not all(map(is_reshape, around))

    def multiplied(self, node: Node, *, scaled: bool) -> bool:
        """Tell whether a node's output is multiplied with another branch.

        Args:
            node: Of an activation.
            scaled: A factor may stand between: `2 * sigmoid(x)` is a gate whose mean is one.
        """
        passes = self._is_scaled if scaled else self._keeps_values
        return any(map(self._is_product, self._seen_through(node, passes)))

    def weighs(self, node: Node) -> bool:
        """Tell whether a node's output meets another branch in a product before any layer.

        Weights of an attention are masked, dropped or scaled on their way to what they weigh, which
        may be a parameter (a codebook, a memory) that no layer holds. So do the largest ones alone,
        which choose where the data go (experts, buckets).
        """
        return any(
            self._is_product(reader) or reader.name().startswith("Topk")
            or getattr(self._layers.get(reader), "layout", "") == "in-out"
            for reader in self._seen_through(node, self._is_unary))

    def opened_by(self, node: Node) -> Iterator[Node]:
        """Yield what a node's output is multiplied with, down to the first node that computes."""
        for reader in self._seen_through(node, self._keeps_values):
            if self._is_product(reader):
                for other in self.carrying(reader):
                    while self._is_scaled(other) and len(self.carrying(other)) == 1:
                        other = self.carrying(other)[0]
                    if other is not node:
                        yield other

    def scales(self, node: Node) -> bool:
        """Tell whether a node multiplies with a constant."""
        return (node.name().startswith(("Mul", "Div")) and node not in self._dropouts
                and node not in self._joins and len(self.carrying(node)) == 1)

    def rescaled(self, node: Node) -> bool:
        """Tell whether a layer's output is multiplied with a constant before anything else."""
        return any(self.scales(reader) for reader in self.readers(node))

    def end(self, node: Node) -> tuple[End, Node | None]:
        """Say what becomes of the output of a layer that feeds no other layer alone.

        Returns:
            The end, and for a residual the node that the other side carries on.
        """
        layer = self._layers.get(node)
        before = {other for other in _behind(node) if self._layers.get(other) is not layer}
        found: End = "output"
        waiting, seen = list(self.readers(node)), set()
        while waiting:
            reader = waiting.pop()
            if reader in seen or reader in self._layers:
                continue
            seen.add(reader)
            if found == "output" and is_normalisation(reader):
                return "normalisation", None
            if len(self.carrying(reader)) > 1 or reader in self._joins:
                carried = self._carried_on(reader, before)
                if carried is not None:
                    return "residual", carried
                if not self._is_product(reader):
                    joined = self._joined(reader)
                    return (joined if joined == "sum" or found == "output" else found), None
                # What was weighed in a branch may be what the branch adds.
                found = "gate"
            waiting.extend(self.children[reader])
        return found, None

    def _joined(self, node: Node) -> End:
        is_sum = node.name().startswith("Add") and len(self.carrying(node)) > 1
        return "sum" if is_sum or node in self._with_data else "join"

    def _carried_on(self, node: Node, before: set[Node]) -> Node | None:
        """Return what a sum or a concatenation has from before a branch, past all layers of it."""
        if not node.name().startswith(("Add", "Cat")):
            return None
        return next((earlier for side in self.carrying(node) for earlier in self.passed_on(side)
                     if earlier in before), None)

    def passed_on(self, node: Node) -> Iterator[Node]:
        """Yield a node and those whose data it has, through neither a layer nor a join."""
        yield node
        while node not in self._layers and len(before := self.carrying(node)) == 1:
            node = before[0]
            yield node

    def _is_product(self, node: Node) -> bool:
        joins = len(self.carrying(node)) > 1 or node in self._joins
        return joins and node.name().startswith(_PRODUCTS)

    def _keeps_values(self, node: Node) -> bool:
        # `1 + tanh(x)` before a product is still a gate (the tanh form of GELU).
        shifts = node.name().startswith("Add") and len(self.carrying(node)) == 1
        return shifts or node in self._dropouts or node.name().startswith(_PARTS)

    def _is_scaled(self, node: Node) -> bool:
        return self._keeps_values(node) or self.scales(node)

    def _is_unary(self, node: Node) -> bool:
        return (len(self.carrying(node)) == 1 and node not in self._joins
                and node not in self._layers)

    def _seen_through(self, node: Node, passes: Callable[[Node], bool]) -> Iterator[Node]:
        """Yield what reads a node, and what reads that in turn where it passes."""
        waiting, seen = list(self.children[node]), set()
        while waiting:
            reader = waiting.pop()
            if reader in seen:
                continue
            seen.add(reader)
            yield reader
            if passes(reader):
                waiting.extend(self.children[reader])


def _behind(node: Node) -> set[Node]:
    """Return a node and what it was computed from, a few hundred nodes back."""
    waiting, seen = [node], {node}
    for current in waiting:
        for parent, _ in current.next_functions:
            if parent is not None and parent not in seen and len(seen) < _BRANCH:
                seen.add(parent)
                waiting.append(parent)
    return seen


def is_reshape(node: Node) -> bool:
    """Tell whether a node changes the shape or the type of a tensor, not its values."""
    return bool(node.name().startswith(RESHAPES))


def is_normalisation(node: Node) -> bool:
    """Tell whether a node normalises; what is before it has no scale for what is behind."""
    return any(norm in node.name() for norm in _NORMS)


def own_nodes(node: Node) -> Iterator[Node]:
    """Yield the nodes of one call, from its output inwards (a view around the product itself)."""
    while node is not None:
        yield node
        if not is_reshape(node) or len(node.next_functions) != 1:
            return
        node = node.next_functions[0][0]


def _postorder(root: Node) -> Iterator[Node]:
    """Yield every node of the graph after the nodes that it reads."""
    seen = {root}
    waiting = [(root, iter(root.next_functions))]
    while waiting:
        node, parents = waiting[-1]
        fresh = next((p for p, _ in parents if p is not None and p not in seen), None)
        if fresh is None:
            waiting.pop()
            yield node
        else:
            seen.add(fresh)
            waiting.append((fresh, iter(fresh.next_functions)))
