"""Whether activations and gradients stay inside the range of float16."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from auditor.recorder import Call, tensors_in
from auditor.spread import spread_sample

_VALUES = 8192


@dataclass
class HalfRow:
    """One layer: the worst share over the watched passes."""

    overflow: float = 0.0
    underflow: float = 0.0


class HalfRange:
    """Listens for float16 outputs; bfloat16 has the range of float32.

    Attributes:
        listens_to: No function; modules are enough.
        rows: Layer -> shares. Empty when nothing was computed in float16.
    """

    listens_to: frozenset[object] = frozenset()

    def __init__(self) -> None:
        self.rows: dict[str, HalfRow] = {}

    def on_function(self, call: Call) -> None:
        """Functions run inside modules, whose outputs are looked at."""

    def on_module(self, call: Call) -> None:
        """Look at a layer's output, and later at the gradient that comes back to it."""
        output = next(tensors_in(call.output), None)
        if output is None or output.dtype != torch.float16 or not output.numel():
            return
        row = self.rows.setdefault(call.path, HalfRow())
        with torch.no_grad(), torch._C.DisableTorchFunction():
            row.overflow = max(row.overflow, _overflow(call, output))
            if output.requires_grad:
                output.register_hook(  # type: ignore[no-untyped-call]
                    lambda gradient: _note_gradient(row, gradient))


def _overflow(call: Call, output: Tensor) -> float:
    """Return the share of infinite outputs, or of infinite float16 values that went in.

    NaN counts as well where all that went in is finite: a product whose input became infinite on
    its way to float16.
    """
    came_in = [t for t in tensors_in(call.args) if t.is_floating_point()]
    infinite = max(float(torch.isinf(t).float().mean()) for t in [output, *(
        t for t in came_in if t.dtype == torch.float16 and t.numel())])
    if call.module is None or not bool(torch.isnan(output).any()):
        return infinite
    clean = all(bool(torch.isfinite(t).all()) for t in [*came_in, *call.module.parameters()])
    return float((~torch.isfinite(output)).float().mean()) if clean else infinite


def _note_gradient(row: HalfRow, gradient: Tensor) -> None:
    values = spread_sample(gradient, _VALUES).abs()
    if not bool(torch.isfinite(values).all()):
        return
    some = values > 0
    if bool(some.any()):
        smallest = torch.finfo(torch.float16).tiny
        low = float(((values < smallest) & some).sum()) / float(some.sum())
        row.underflow = max(row.underflow, low)
    elif not bool(some.any()) and gradient.numel() > 1:
        row.underflow = 1.0
