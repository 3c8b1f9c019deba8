"""How a call multiplies with a weight: what its operands are, and what one output sums over."""

from __future__ import annotations

import math
import operator

from torch import Tensor

from auditor.recorder import Call

# Its place among the arguments of a transposed convolution.
_STRIDE = 3


def layer_name(path: str, parameter: str) -> str:
    """Return the module's path, or the parameter's name where a module holds several weights."""
    return path if path and parameter.rpartition(".")[2] in ("", "weight") else parameter or path


def operands(call: Call, layout: str) -> tuple[Tensor, Tensor, Tensor | None] | None:
    """Return input, weight and bias of a call, or None for one that is spelled otherwise."""
    found = [value for value in (*call.args, *call.kwargs.values()) if isinstance(value, Tensor)]
    if len(found) < 2:
        return None
    if layout == "addmm":
        return (found[1], found[2], found[0]) if len(found) == 3 else None
    x, weight, *rest = found
    if layout == "lookup" and not weight.is_floating_point():
        x, weight = weight, x
    return x, weight, rest[0] if rest and layout != "lookup" else None


def is_grouped(weight: Tensor, layout: str, x: Tensor) -> bool:
    """Tell whether a convolution works in groups, from the channels of its input."""
    channels = 1 - weight.dim()
    return layout == "out-in" and weight.dim() > 2 and x.shape[channels] != weight.shape[1]


def fan_in(weight: Tensor, layout: str, call: Call) -> int:
    """Return how many inputs one output of a call sums over; 1 for a table that is looked up."""
    if layout in ("in-out", "addmm"):
        return weight.shape[0]
    if layout == "lookup":
        return 1
    if layout == "transposed":
        return max(1, weight.shape[0] * weight[0, 0].numel() // _strides(call, weight.dim() - 2))
    return weight[0].numel()


def _strides(call: Call, dims: int) -> int:
    """Return the product of a transposed convolution's strides."""
    given = call.kwargs.get("stride", call.args[_STRIDE] if len(call.args) > _STRIDE else 1)
    try:
        each = (operator.index(given),)
    except TypeError:
        each = tuple(given)
    # Of several dimensions one number may stand for all.
    return int(math.prod(each * dims if len(each) == 1 else each))
