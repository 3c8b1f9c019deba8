"""Losses that take gradients on their way: forces, physics, meta-learning, gradient penalties."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

from auditor.target import ComputeLoss, LossResult, Target

# A step that calls `backward` would leave gradients behind wherever it is only looked at.
_TAKES = torch.autograd.grad
# Passes with gradients in which they are looked for.
_PASSES = 3


def with_inner_gradients(target: Target) -> Target:
    """Return the target with a forward and loss that also run where gradients are switched off.

    Probes look at a model without gradients. A loss that calls `torch.autograd.grad` itself fails
    there, though nothing is wrong with it: in training it never runs so.
    """
    return replace(target, compute=_InnerGradients(target.compute))


class _InnerGradients:
    """Forward and loss; with gradients inside where one of the first passes took some."""

    def __init__(self, compute: ComputeLoss) -> None:
        self.compute = compute
        self._takes = False
        self._passes = 0

    def __call__(self, model: nn.Module, batch: Any) -> LossResult:
        """Return the loss of one batch; without a graph where gradients are switched off."""
        if torch.is_grad_enabled():
            if self._takes or self._passes >= _PASSES:
                return self.compute(model, batch)
            self._passes += 1
            with _Noticing() as noticing:
                result = self.compute(model, batch)
            self._takes = noticing.taken
            return result
        if not self._takes:
            return self.compute(model, batch)
        with torch.enable_grad():
            result = self.compute(model, batch)
        return LossResult(result.loss.detach(), detached(result.output))


def detached(output: Any) -> Any:
    """Return a nested output whose tensors have no graph."""
    return tree_map(lambda leaf: leaf.detach() if isinstance(leaf, Tensor) else leaf, output)


class _Noticing(TorchFunctionMode):
    """Notices whether gradients are taken inside.

    Attributes:
        taken: Some were.
    """

    def __init__(self) -> None:
        super().__init__()
        self.taken = False

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None,
    ) -> Any:
        """Run the function."""
        self.taken = self.taken or func is _TAKES
        return func(*args, **(kwargs or {}))
