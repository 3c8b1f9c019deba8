"""Which layer feeds which, read off the autograd graph of one watched pass.

The order of registration says little, and module hooks miss `F.linear`. Every call that multiplies
with a weight is a layer here; what lies between two layers is what the autograd graph holds
between them, whatever views, methods or in-place calls the user wrote.
"""

from __future__ import annotations

import math
import weakref
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from auditor import functions
from auditor.autogradgraph import AutogradGraph, End, Node, is_normalisation, is_reshape, own_nodes
from auditor.functions import Activation
from auditor.recorder import Call, tensors_in
from auditor.spread import rms, spread
from auditor.weightedcall import fan_in, is_grouped, layer_name, operands

Break: TypeAlias = Literal["start", "join", "normalisation"]


@dataclass(eq=False, slots=True)
class ActivationUse:
    """One call of an activation function and what becomes of its output.

    Attributes:
        subject: As the recorder names it.
        activation: Which function.
        hidden: A layer lies behind it; else it belongs to the output or the loss.
        gates: Its output is multiplied with another branch (gates, attention weights). Where a
            sigmoid opens a tanh, only the sigmoid is the gate.
    """

    subject: str
    activation: Activation
    hidden: bool = False
    gates: bool = False


@dataclass(eq=False, slots=True)
class LayerUse:
    """One multiplication with a weight.

    Attributes:
        name: Path of the layer; name of the parameter where that is not the layer's `weight`.
        order: Position among the layers of the pass.
        layout: Of the weight, as in `functions.WEIGHTED`; "opaque" for fused recurrent layers.
        weight: What the input was multiplied with (after parametrisations); detached.
        bias: Added to it, or None.
        parameter: Full name of the weight parameter; empty when it is computed.
        module: That makes the call.
        fan_in: Inputs that one output sums over.
        weight_rms: Root mean square of the weight at the time of the call.
        trainable: The weight gets a gradient.
        grouped: A convolution in groups (depthwise).
        x_rms, y_rms: Root mean square of input and output.
        x_spread, y_spread: Standard deviation over samples, rms over features.
        delta: Norm of the loss's gradient with respect to the output.
        before: The layer that feeds it with nothing but unary operations between.
        begins: What cuts it off from earlier layers, when `before` is None.
        activations: Calls between `before` (or the cut) and this layer.
        bare: Only changes of shape lie between `before` and this layer.
        only_reader: Nothing else reads the output of `before`.
        linear_before: The layer that feeds this one alone, with nothing but changes of shape,
            dropout and batch normalisations between.
        after: Layers that it feeds in this way.
        taken_by: The first hidden activation that takes its output, wherever that leads.
        ends: What becomes of its output, when `after` is empty.
        carried: The layer whose output a residual end carries on; None where that is a join.
        rescaled: A constant factor stands right before or behind it (NTK parametrisation, sine
            networks), so that the weights alone do not tell its scale.
    """

    name: str
    order: int
    layout: str
    weight: Tensor
    bias: Tensor | None = None
    parameter: str = ""
    module: nn.Module | None = None
    fan_in: int = 1
    weight_rms: float = math.nan
    trainable: bool = True
    grouped: bool = False
    x_rms: float = math.nan
    y_rms: float = math.nan
    x_spread: float = math.nan
    y_spread: float = math.nan
    delta: float = math.nan
    before: LayerUse | None = None
    begins: Break = "start"
    activations: tuple[ActivationUse, ...] = ()
    bare: bool = False
    only_reader: bool = False
    linear_before: LayerUse | None = None
    after: list[LayerUse] = field(default_factory=list)
    taken_by: ActivationUse | None = None
    ends: End = "output"
    carried: LayerUse | None = None
    rescaled: bool = False

    @property
    def activation_after(self) -> ActivationUse | None:
        """The activation that takes the output on to the next layer."""
        return next((after.activations[0] for after in self.after if after.activations), None)

    def let_go(self) -> None:
        """Let go of weights and module: layers know each other, which would keep the model."""
        self.weight, self.module = self.weight.new_empty(0), None
        if self.bias is not None:
            self.bias = self.bias.new_empty(0)


class LayerGraph:
    """Listens for layers and activations; `connect(loss)` says how they hang together.

    Args:
        model: Whose parameters give the names.
        sizes: Measure weights, inputs and outputs too, not only the gradients.

    Attributes:
        activations: In call order.
    """

    def __init__(self, model: nn.Module, *, sizes: bool = True) -> None:
        self._layers: list[LayerUse] = []
        self._waiting: list[tuple[LayerUse, str, Tensor]] = []
        self.activations: list[ActivationUse] = []
        self._names = {id(p): name for name, p in model.named_parameters()}
        self._sizes = sizes
        self._made: dict[Node, LayerUse] = {}
        self._called: dict[Node, ActivationUse] = {}
        self._sources: dict[LayerUse, Node] = {}
        self._dropouts: set[Node] = set()
        self._joins: set[Node] = set()
        self._with_data: set[Node] = set()

    @property
    def layers(self) -> list[LayerUse]:
        """In call order. Reading it fetches what was measured so far, in one transfer."""
        if self._waiting:
            values = torch.stack([value for _, _, value in self._waiting]).tolist()
            for (use, name, _), value in zip(self._waiting, values, strict=True):
                setattr(use, name, value)
            self._waiting = []
        return self._layers

    def on_module(self, call: Call) -> None:
        """Take a fused recurrent layer as one opaque layer."""
        if not isinstance(call.module, nn.RNNBase):
            return
        weight = next(call.module.parameters()).detach()
        use = LayerUse(call.path, len(self._layers), "opaque", weight, module=call.module)
        with torch._C.DisableTorchFunction():
            self._add(use, tensors_in(call.output), next(tensors_in(call.args), None))

    def on_function(self, call: Call) -> None:
        """Take a layer or an activation."""
        output = call.output
        if call.function is None or not isinstance(output, Tensor) or call.module is None:
            return
        with torch._C.DisableTorchFunction():
            if call.function in functions.DROPOUTS:
                # One that drops nothing returns its input, whose node is another call's.
                if not any(output is given for given in call.args):
                    self._dropouts.add(output.grad_fn)
            elif call.function in functions.JOINS and self._joins_branches(call):
                self._joins.add(output.grad_fn)
                if _joins_data(call):
                    self._with_data.add(output.grad_fn)
            layout = functions.WEIGHTED.get(call.function)
            if layout is not None:
                self._note_layer(call, layout)
            elif (activation := functions.ACTIVATIONS.get(call.function)) is not None:
                use = ActivationUse(call.subject, activation)
                self.activations.append(use)
                if output.grad_fn is not None:
                    self._called[output.grad_fn] = use

    def connect(self, loss: Tensor) -> None:
        """Say which layer feeds which; call it once, before the backward pass."""
        graph = AutogradGraph(loss.grad_fn, self._made, set(self._sources.values()), self._joins,
                              self._dropouts, self._with_data)
        # What is computed and not used says nothing of the layers that it reads.
        used = {use for node, use in self._made.items() if node in graph.children}
        for use in self.layers:
            if use in used:
                self._connect(use, graph)
        for node, call in self._called.items():
            call.hidden = node in graph.feeding
            opens = call.activation.family == "bounded" and call.activation.low >= 0
            gates = (graph.weighs(node) if call.activation.family == "softmax"
                     else graph.multiplied(node, scaled=opens))
            call.gates = gates and not self._is_opened(node, graph)
            maker = self._maker(node, graph)
            if maker is not None and call.hidden and maker.taken_by is None:
                maker.taken_by = call
        for node, use in self._made.items():
            if not use.after and node in graph.children:
                use.ends, carried = graph.end(node)
                if carried is not None:
                    use.carried = next((self._made[other] for other in graph.passed_on(carried)
                                        if other in self._made), None)
            use.rescaled = use.rescaled or graph.rescaled(node)
        for kept in (self._made, self._called, self._sources, self._dropouts, self._joins,
                     self._with_data):
            kept.clear()

    def let_go(self) -> None:
        """Let go of the model, when all has been read: else a cycle keeps it for a while."""
        for use in self._layers:
            use.let_go()

    def _joins_branches(self, call: Call) -> bool:
        """Tell whether a call joins branches; one of them may be data or frozen, without a node."""
        branches = [t for t in tensors_in((call.args, call.kwargs))
                    if t.is_floating_point() and t.numel() > 1 and id(t) not in self._names]
        return len(branches) > 1

    def _note_layer(self, call: Call, layout: str) -> None:
        found = operands(call, layout)
        if found is None:
            return
        x, weight, bias = found
        parameter = self._names.get(id(weight), "")
        if layout in ("in-out", "addmm") and (not parameter or weight.dim() != 2):
            return
        use = LayerUse(
            layer_name(call.path, parameter), len(self._layers), layout,
            weight.detach(), None if bias is None else bias.detach(),
            parameter, call.module, fan_in(weight, layout, call),
            trainable=bool(weight.requires_grad), grouped=is_grouped(weight, layout, x),
        )
        if self._sizes:
            self._measure(use, "weight_rms", rms(weight.detach()))
        if self._sizes and x.is_floating_point():
            for name, tensor in (("x", x.detach()), ("y", call.output.detach())):
                self._measure(use, f"{name}_rms", rms(tensor))
                self._measure(use, f"{name}_spread", spread(tensor))
        self._add(use, [call.output], x)

    def _add(self, use: LayerUse, outputs: Any, source: Tensor | None) -> None:
        self._layers.append(use)
        for position, output in enumerate(outputs):
            for node in own_nodes(output.grad_fn):
                self._made[node] = use
            if position == 0 and output.requires_grad:
                output.register_hook(partial(_measure_delta, weakref.ref(self), use))
        if source is not None and source.grad_fn is not None:
            self._sources[use] = source.grad_fn

    def _measure(self, use: LayerUse, name: str, value: Tensor) -> None:
        self._waiting.append((use, name, value))

    def _connect(self, use: LayerUse, graph: AutogradGraph) -> None:
        node = self._sources.get(use)
        source = graph.linear_source(node)
        use.linear_before = source if isinstance(source, LayerUse) and source is not use else None
        calls, bare = [], True
        while node is not None and node not in self._made:
            if node in self._called:
                calls.append(self._called[node])
            bare = bare and (is_reshape(node) or node in self._dropouts)
            use.rescaled = use.rescaled or graph.scales(node)
            parents = graph.carrying(node)
            if is_normalisation(node):
                use.begins, node = "normalisation", None
            elif len(parents) != 1 or node in self._joins:
                use.begins, node = "join" if parents else "start", None
            else:
                node = parents[0]
        use.activations = tuple(reversed(calls))
        if node is not None and self._made[node] is not use:
            use.before, use.bare = self._made[node], bare and not calls
            use.only_reader = len(graph.readers(node)) == 1
            use.before.after.append(use)

    def _is_opened(self, node: Node, graph: AutogradGraph) -> bool:
        """Tell whether an activation with both signs carries what another one lets through."""
        others = (self._called[other].activation for other in graph.opened_by(node)
                  if other in self._called)
        return self._called[node].activation.low < 0 and any(
            other.family == "bounded" and other.low >= 0 for other in others)

    def _maker(self, node: Node, graph: AutogradGraph) -> LayerUse | None:
        """Return the layer whose output an activation takes, with changes of shape between."""
        while len(parents := graph.carrying(node)) == 1:
            node = parents[0]
            if node in self._made:
                return self._made[node]
            if not is_reshape(node):
                return None
        return None


def _measure_delta(
    graph: weakref.ref[LayerGraph], use: LayerUse, gradient: Tensor,
) -> None:
    """Note the size of a gradient.

    Nodes hold their hooks; one that held the graph, which holds nodes, would be a cycle through
    C++ that no collector sees.
    """
    listening = graph()
    if listening is not None:
        listening._measure(use, "delta", torch.linalg.vector_norm(gradient.detach().float()))


def _joins_data(call: Call) -> bool:
    """Tell whether something of the output's size that has no graph is joined: data."""
    return any(not t.requires_grad and t.shape == call.output.shape
               for t in tensors_in((call.args, call.kwargs)))
