"""Whether output and target are compared element by element, or broadcast against each other."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from auditor import batches, functions
from auditor.isolation import seeded
from auditor.observation import Place, Quantity
from auditor.probe import Cost, NotApplicable, ProbeContext
from auditor.recorder import Call, tensors_in, watching
from auditor.sourcemap import place_of_caller
from auditor.trial import Bench

from ._flow import Flow

_DIFFERENCES = frozenset({"sub", "rsub", "subtract", "__sub__", "__rsub__", "mul", "__mul__",
                          "__rmul__"})


@dataclass(frozen=True, slots=True)
class _Comparison:
    """One element-wise operation on an output and a target."""

    output: tuple[int, ...]
    target: tuple[int, ...]
    growth: float
    place: Place | None


class _Comparisons:
    """Listens for element-wise operations that have an output on one side, a target on the other.

    Args:
        flow: Told of each call first.
        targets: Bits of the targets in the flow.
    """

    def __init__(self, flow: Flow, targets: int) -> None:
        self.found: list[_Comparison] = []
        self._flow = flow
        self._targets = targets

    def on_module(self, call: Call) -> None:
        """Modules compare by functions."""

    def on_function(self, call: Call) -> None:
        """Note one comparison."""
        known = functions.LOSSES.get(call.function) if call.function else None
        is_loss = known is not None and known[0] in functions.ELEMENTWISE_LOSSES
        name = getattr(call.function, "__name__", "")
        if call.output is None or not (is_loss or name in _DIFFERENCES):
            return
        given = list(tensors_in((call.args, call.kwargs)))[:2]
        if len(given) < 2:
            return
        pair = self._sorted(given[0], given[1], is_loss)
        if pair is None:
            return
        output, target = (tuple(tensor.shape) for tensor in pair)
        together = torch.broadcast_shapes(output, target)  # type: ignore[no-untyped-call]
        growth = together.numel() / max(pair[0].numel(), pair[1].numel(), 1)
        # Outer differences are written with as many dimensions on both sides.
        if growth > 1 and not is_loss and len(output) == len(target):
            return
        self.found.append(_Comparison(output, target, growth, place_of_caller()))

    def _sorted(
        self, one: Tensor, other: Tensor, is_loss: bool,
    ) -> tuple[Tensor, Tensor] | None:
        """Return the output and the target of a pair, or None if it is no such pair.

        A loss function compares what it is given, wherever its target comes from; there only an
        axis too many is a slip, and not a comparison of all pairs.
        """
        traces = {id(tensor): self._flow.of(tensor) for tensor in (one, other)}
        for output, target in ((one, other), (other, one)):
            seen, expected = traces[id(output)], traces[id(target)]
            from_data = expected.values & self._targets and not expected.values & ~self._targets
            if seen.live and not seen.values & self._targets and from_data:
                return output, target
        if is_loss and traces[id(one)].live and not traces[id(other)].live:
            slips = one.dim() != other.dim() and one.squeeze().shape == other.squeeze().shape
            return (one, other) if slips or one.shape == other.shape else None
        return None


class Broadcast:
    """Follows outputs and targets into the loss and compares their shapes where they meet."""

    name: ClassVar[str] = "broadcast"
    says: ClassVar[str] = "compares the shapes of output and target where the loss joins them"
    cost: ClassVar[Cost] = Cost(steps=1, minimum_steps=1)
    after: ClassVar[tuple[str, ...]] = ()
    yields: ClassVar[tuple[Quantity, ...]] = (
        Quantity("broadcast_growth", "", "values that the loss compares, over those of the larger "
                 "of output and target"),
        Quantity("output_shape", "", "shape of the output at the loss", kind="text"),
        Quantity("target_shape", "", "shape of the target at the loss", kind="text"),
        Quantity("output_has_more_dimensions", "", "the output has more dimensions than the "
                 "target", kind="flag"),
    )

    def run(self, context: ProbeContext) -> None:
        """Measure, and write into the notebook."""
        stored = context.batches.train(1)
        if not stored:
            raise NotApplicable("the training loader gives no batch")
        with seeded(context.seed):
            bench = Bench(context.target)
            batch = batches.private(stored[0])
            targets = list(batches.tensors_of(_target(batch)))
            flow = Flow([*targets, *bench.model.parameters()])
            comparisons = _Comparisons(flow, (1 << len(targets)) - 1)
            with watching(bench.model, flow, comparisons, everything=True):
                bench.loss(batch)
        context.note.steps += 1
        if not comparisons.found:
            raise NotApplicable("the loss does not compare output and target element by element")
        worst = max(comparisons.found, key=lambda found: found.growth)
        note = context.note
        note.measure("broadcast_growth", worst.growth)
        note.measure("output_shape", str(worst.output))
        note.measure("target_shape", str(worst.target))
        note.measure("output_has_more_dimensions", len(worst.output) > len(worst.target))


def _target(batch: Any) -> Any:
    """Return the target of a batch; of an object with fields (a batch of graphs) by its name."""
    target = batches.split(batch).target
    if target is not None:
        return target
    named = []
    for name in batches.TARGET_KEYS:
        # A property of the user's that raises is no target.
        with suppress(Exception):
            named.append(getattr(batch, name))
    return [item for item in named if isinstance(item, Tensor)]
