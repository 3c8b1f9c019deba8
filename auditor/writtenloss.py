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
from auditor.batches import is_dense
from auditor.recorder import Call, tensors_in


@dataclass(frozen=True, slots=True)
class WrittenLoss:
    """An error on its way to a loss.

    Attributes:
        input: What the model put out; live.
        target: What it was compared with, in the input's type.
        name: Of the function that computes the same; empty for the bare difference.
        reduction: Of that function; empty as long as nothing was reduced.
        held: Tensors whose values the error stands for, and the version of each: what is changed
            in place later (masked, weighted) is another error.
    """

    input: Tensor
    target: Tensor
    name: str
    reduction: str
    held: tuple[tuple[Tensor, int], ...]

    def is_unchanged(self) -> bool:
        """Tell whether none of its tensors was changed in place."""
        return all(tensor._version == version for tensor, version in self.held)

    def holding(self, tensor: Tensor) -> WrittenLoss:
        """Return the same error, which this tensor holds too."""
        return replace(self, held=(*self.held, (tensor, tensor._version)))


class WrittenLosses:
    """Follows what a model puts out through the operations of a loss, for one pass.

    Attributes:
        with_graph: The pass began with gradients.
    """

    def __init__(self) -> None:
        self.with_graph = torch.is_grad_enabled()
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
        if found is None:
            return None
        if found.reduction and call.output.dim() == 0:
            return found
        self._errors[id(call.output)] = found.holding(call.output)
        return None

    def _is_answer(self, tensor: Tensor) -> bool:
        """Tell whether a tensor is made of what the model has put out."""
        return id(tensor) in self._answers

    def _is_learned(self, tensor: Tensor) -> bool:
        """Tell whether a tensor is made of parameters, as the terms of a penalty are."""
        return id(tensor) in self._learned or isinstance(tensor, nn.Parameter)

    def _error(self, call: Call, given: list[Tensor]) -> WrittenLoss | None:
        function, output = call.function, call.output
        if not isinstance(output, Tensor) or any(output is tensor for tensor in given):
            return None
        numbers = [a for a in (*call.args, *call.kwargs.values()) if isinstance(a, (int, float))]
        if function in functions.DIFFERENCES:
            return self._difference(given) if len(given) == 2 and not numbers else None
        known = self._errors.get(id(call.args[0])) if call.args else None
        if known is None or function is None or not known.is_unchanged():
            return None
        if not known.name:
            name = _power(function, call, numbers)
            return replace(known, name=name) if name else None
        if function in functions.MEANS or function in functions.SUMS:
            kind = "mean" if function in functions.MEANS else "sum"
            return replace(known, reduction=kind if known.reduction in ("", kind) else "mean")
        scales = function in functions.PRODUCTS or function in functions.QUOTIENTS
        return known if scales and len(given) == len(numbers) == 1 and numbers[0] > 0 else None

    def _difference(self, given: list[Tensor]) -> WrittenLoss | None:
        ours = [self._is_answer(tensor) for tensor in given]
        if sum(ours) != 1 or any(map(self._is_learned, given)):
            return None
        one, other = given if ours[0] else given[::-1]
        if not (one.is_floating_point() and all(map(_is_plain, given))):
            return None
        # A target has a row for each sample, as a centre that all samples share has not.
        if not (one.dim() and other.dim() and len(one) == len(other)):
            return None
        if self.with_graph and not (torch.is_grad_enabled() and one.requires_grad
                                     and not other.requires_grad):
            # A figure for the log, or a learned target.
            return None
        held = tuple((tensor, tensor._version) for tensor in given)
        return WrittenLoss(one, other.to(one.dtype), "", "", held)


def _is_plain(tensor: Tensor) -> bool:
    """Tell whether a tensor holds real numbers of which changes are counted."""
    return is_dense(tensor) and not (tensor.is_complex() or tensor.is_inference())


def _power(function: Callable[..., Any], call: Call, numbers: list[float]) -> str:
    """Return which loss an operation makes of a difference; empty for none."""
    if function in functions.SIZES:
        return "l1_loss"
    squared = function in functions.POWERS and numbers == [2]
    by_itself = function in functions.PRODUCTS and len(call.args) == 2 and (
        call.args[0] is call.args[1])
    return "mse_loss" if squared or by_itself or function in functions.SQUARES else ""
