"""Follows a forward pass: which tensors stand behind a value, and where the graph was lost.

The autograd graph alone cannot tell a head that nobody uses from a layer whose output was
detached on its way to the loss. The values can: both are followed side by side here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import BackwardCFunction
from torch.utils.weak import WeakIdKeyDictionary

from auditor import functions
from auditor.observation import Place
from auditor.recorder import Call, tensors_in
from auditor.sourcemap import place_of_caller

from ._structure import stack_entries

# They read the shape or the type of their argument, not its values.
_SHAPE_ONLY = ("zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like",
               "randint_like", "new_zeros", "new_ones", "new_empty", "new_full", "new_tensor")
# A derivative (`torch.autograd.grad`) does not depend on all that its function depends on.
_DERIVATIVE = "grad"
_FIRST_ONLY = ("view_as", "expand_as", "reshape_as", "type_as", "to")
# They hand values to Python or numpy, where nothing can be followed.
_EXITS = ("numpy", "item", "tolist", "__float__", "__int__", "__array__")
# They tell Python something of the values, which then decides what is computed.
_TOLD = ("__bool__", "__index__", "is_nonzero", "equal", "allclose")
# Their derivative is zero everywhere, so that a graph through them carries nothing.
_FLAT = ("round", "floor", "ceil", "sign", "trunc")


@dataclass(frozen=True, slots=True)
class Cut:
    """A call at which values went on and their gradient did not.

    Attributes:
        lost: Bits of the sources whose gradient ends here.
        by: The call in words ("detach()", "torch.no_grad()").
        place: The user's line that made the call.
        of_sources: Its arguments were the sources themselves: norms and averages of weights.
    """

    lost: int
    by: str
    place: Place | None
    of_sources: bool = False


class _Trace(NamedTuple):
    """What is known of one tensor, as sets of bits.

    Attributes:
        values: Sources from which it was computed.
        live: Those to which its gradient flows back.
        cuts: Positions in `Flow.cuts` of the cuts that its values went through.
    """

    values: int = 0
    live: int = 0
    cuts: int = 0


_NOTHING = _Trace()


class Flow:
    """Listens to all calls of a forward pass and of the loss.

    Args:
        sources: Tensors to follow; source number i is bit i of every set.

    Attributes:
        cuts: In the order of the calls.
        blind: Calls of a loss function with tensors that no source reaches.
        used: Bits of the sources that were an argument of any call.
        escaped: What left for Python or numpy.
        told: Bits of the sources of what Python was told of, to decide by.
        derives: A derivative was taken on the way, behind which nothing is followed on purpose.
    """

    def __init__(self, sources: Sequence[Tensor]) -> None:
        self.cuts: list[Cut] = []
        self.blind: list[Cut] = []
        self.used = 0
        self.escaped = _NOTHING
        self.told = 0
        self.derives = False
        # Cuts whose values became a single number, or left, and those that were computed with.
        self._logged = 0
        self._went_on = 0
        self._own: dict[int, int] = {}
        self._traces = WeakIdKeyDictionary()
        for index, source in enumerate(sources):
            bit = 1 << index
            self._own[id(source)] = bit
            self._traces[source] = _Trace(bit, bit if source.requires_grad else 0)

    def of(self, value: Any) -> _Trace:
        """Return what stands behind the tensors of a nested value."""
        return _joined([self._trace(tensor) for tensor in tensors_in(value)])

    def _trace(self, tensor: Tensor) -> _Trace:
        found: _Trace = self._traces.get(tensor, _NOTHING)  # type: ignore[no-untyped-call]
        if not found.live and isinstance(tensor.grad_fn, BackwardCFunction):
            # The forward of a user's autograd function runs without gradients, its output has one.
            return found._replace(live=found.values)
        return found

    def on_module(self, call: Call) -> None:
        """Modules compute nothing that their functions do not."""

    def on_function(self, call: Call) -> None:
        """Hand the traces of the arguments on to the output."""
        name = getattr(call.function, "__name__", "")
        if name in _SHAPE_ONLY or name == _DERIVATIVE:
            self.derives = self.derives or name == _DERIVATIVE
            return
        inputs = list(tensors_in((call.args, call.kwargs)))
        if name in _FIRST_ONLY:
            inputs = inputs[:1]
        trace = _joined([self._trace(tensor) for tensor in inputs])
        if not trace.values:
            self._note_blind(call, name)
            return
        for tensor in inputs:
            self.used |= self._own.get(id(tensor), 0)
        if name in _TOLD:
            self.told |= trace.values
        if name in _EXITS:
            self._logged |= trace.cuts
            self.escaped = _joined([self.escaped, self._cut(trace, call, name, inputs)])
            return
        outputs = [call.args[0]] if name == "__setitem__" else list(tensors_in(call.output))
        if all(tensor.numel() == 1 for tensor in outputs):
            self._logged |= trace.cuts
        else:
            self._went_on |= trace.cuts
        floats = [tensor for tensor in outputs if tensor.is_floating_point()]
        loses = trace.live and floats and not any(tensor.requires_grad for tensor in floats)
        if loses or name.rstrip("_") in _FLAT:
            trace = self._cut(trace, call, name, inputs)
        self._hand_on(trace, outputs, inputs)

    def _note_blind(self, call: Call, name: str) -> None:
        if call.function in functions.LOSSES and torch.is_grad_enabled():
            by = f"{name}(), which is called with tensors that no parameter reaches"
            self.blind.append(Cut(0, by, place_of_caller()))

    def _hand_on(self, trace: _Trace, outputs: Sequence[Tensor], inputs: Sequence[Tensor]) -> None:
        for tensor in outputs:
            into = [trace]
            if any(tensor is given for given in inputs):
                into.append(self._trace(tensor))
                base = tensor._base
                if base is not None and id(base) not in self._own:
                    self._traces[base] = _joined([trace, self._trace(base)])
            if id(tensor) not in self._own:
                self._traces[tensor] = _joined(into)

    def _cut(self, trace: _Trace, call: Call, name: str, inputs: Sequence[Tensor]) -> _Trace:
        if not trace.live:
            return trace
        known = functions.CUTS.get(call.function) if call.function else None
        if not torch.is_grad_enabled() and known is None:
            by = "torch.no_grad()"
        else:
            by = known if known == ".data" else f"{known or name}()"
        of_sources = all(id(tensor) in self._own for tensor in inputs)
        self.cuts.append(Cut(trace.live, by, place_of_caller(), of_sources))
        return _Trace(trace.values, 0, trace.cuts | 1 << (len(self.cuts) - 1))

    def cut_before(self, value: Any, bit: int) -> Cut | None:
        """Return the first cut between a source and a value that was computed from it."""
        for cuts in (self.of(value).cuts, self.escaped.cuts):
            for index, cut in enumerate(self.cuts):
                if cuts >> index & 1 and cut.lost & bit:
                    return cut
        return None


    def cut_of(self, bit: int) -> Cut | None:
        """Return the last cut behind a source whose values may have gone on to the loss unseen.

        What is only logged becomes a single number.
        """
        found = [cut for index, cut in enumerate(self.cuts)
                 if cut.lost & bit and not cut.of_sources
                 and not (self._logged & ~self._went_on) >> index & 1]
        return found[-1] if found else None


def _joined(traces: Sequence[_Trace]) -> _Trace:
    values = live = cuts = 0
    for trace in traces:
        values |= trace.values
        live |= trace.live
        cuts |= trace.cuts
    return _Trace(values, live, cuts)


@contextmanager
def repeats(
    model: nn.Module, flow: Flow, parameters: Mapping[str, Tensor],
) -> Iterator[dict[str, int]]:
    """Count the names of repeated stack entries that feed themselves or get one input twice.

    Heads that stand under several names and look at different things are shared on purpose.
    """
    numbers = {id(p): index for index, p in enumerate(parameters.values())}
    counts: dict[str, int] = {}
    handles = []

    def hook(path: str, names: int, bits: int) -> Any:
        given: list[Tensor] = []

        def look(module: nn.Module, args: Any) -> None:
            tensors = [item for item in args if isinstance(item, Tensor)]
            chained = bool(flow.of(tensors).values & bits)
            if chained or any(old is new for old in given for new in tensors):
                counts[path] = names
            given.extend(tensors)

        return look

    for entry in stack_entries(model):
        if entry.names > 1:
            bits = sum({1 << numbers[id(p)] for p in entry.module.parameters()})
            handles.append(entry.module.register_forward_pre_hook(
                hook(entry.path, entry.names, bits)))
    try:
        yield counts
    finally:
        for handle in handles:
            handle.remove()
