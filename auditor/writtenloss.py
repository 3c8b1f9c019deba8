"""Squared and absolute errors that users write by hand: `((model(x) - y) ** 2).mean()`.

What counts is the difference between something that the model put out and something that it did
not; it is followed through the square, or the absolute value, and through factors to the mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from auditor import functions
from auditor.recorder import Call, tensors_in


@dataclass(frozen=True, slots=True)
class WrittenLoss:
    """An error on its way to a loss.

    Attributes:
        input: What the model put out; live.
        target: What it was compared with.
        name: Of the function that computes the same; empty for the bare difference.
        reduction: Of that function; empty as long as nothing was reduced.
        held: The tensor that holds the error now, kept so that its identity is not used twice.
    """

    input: Tensor
    target: Tensor
    name: str
    reduction: str
    held: Tensor


class WrittenLosses:
    """Follows what a model puts out through the operations of a loss."""

    def __init__(self) -> None:
        self._answers: dict[int, Tensor] = {}
        self._learned: dict[int, Tensor] = {}
        self._errors: dict[int, WrittenLoss] = {}

    def on_answer(self, output: Any) -> None:
        """Note what a model, or a part of it that the step calls itself, has put out."""
        for tensor in tensors_in(output):
            self._answers[id(tensor)] = tensor

    def on_function(self, call: Call) -> WrittenLoss | None:
        """Follow one operation outside of the model; return the loss when it is one number."""
        given = list(tensors_in((call.args, call.kwargs)))
        found = self._error(call, given)
        for known, is_one in ((self._answers, self._is_answer), (self._learned, self._is_learned)):
            if any(map(is_one, given)):
                known.update((id(tensor), tensor) for tensor in tensors_in(call.output))
        if found is None or not isinstance(call.output, Tensor):
            return None
        if found.reduction and call.output.dim() == 0:
            return found
        self._errors[id(call.output)] = replace(found, held=call.output)
        return None

    def _is_answer(self, tensor: Tensor) -> bool:
        """Tell whether a tensor is made of what the model has put out."""
        return id(tensor) in self._answers

    def _is_learned(self, tensor: Tensor) -> bool:
        """Tell whether a tensor is made of parameters, as the terms of a penalty are."""
        return id(tensor) in self._learned or isinstance(tensor, nn.Parameter)

    def _error(self, call: Call, given: list[Tensor]) -> WrittenLoss | None:
        function, output = call.function, call.output
        if not isinstance(output, Tensor) or function is None:
            return None
        if function in functions.DIFFERENCES:
            return self._difference(given, output) if len(given) == 2 else None
        known = self._errors.get(id(given[0])) if given else None
        if known is None:
            return None
        if not known.name:
            name = _power(function, call)
            return replace(known, name=name) if name else None
        if function in functions.MEANS or function in functions.SUMS:
            kind = "mean" if function in functions.MEANS else "sum"
            return replace(known, reduction=kind if known.reduction in ("", kind) else "mean")
        return known if function in functions.FACTORS and len(given) == 1 else None

    def _difference(self, given: list[Tensor], output: Tensor) -> WrittenLoss | None:
        ours = [self._is_answer(tensor) for tensor in given]
        if sum(ours) != 1 or any(map(self._is_learned, given)):
            return None
        if not all(tensor.is_floating_point() and tensor.dim() for tensor in given):
            return None
        one, other = given if ours[0] else given[::-1]
        if torch.is_grad_enabled() and (not one.requires_grad or other.requires_grad):
            return None
        return WrittenLoss(one, other, "", "", output)


def _power(function: Callable[..., Any], call: Call) -> str:
    """Return which loss an operation makes of a difference; empty for none."""
    if function in functions.SIZES:
        return "l1_loss"
    numbers = [a for a in (*call.args, *call.kwargs.values()) if not isinstance(a, Tensor)]
    squared = function in functions.POWERS and numbers == [2]
    by_itself = function in functions.FACTORS and len(call.args) == 2 and (
        call.args[0] is call.args[1])
    return "mse_loss" if squared or by_itself or function in functions.SQUARES else ""
