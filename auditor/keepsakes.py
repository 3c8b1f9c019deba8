"""Keeps the user's own modules and parameters as they are, bit for bit.

Trials train copies. But a loss with weights, a frozen teacher or the model itself may also be
reached through a global name from inside the user's functions, and then a trial changes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer


@dataclass(frozen=True)
class _KeptTensor:
    tensor: Tensor
    value: Tensor
    requires_grad: bool
    grad: Tensor | None
    grad_value: Tensor | None

    def restore(self) -> None:
        if not _same(self.tensor, self.value):
            with torch.no_grad():
                self.tensor.data.copy_(self.value)
        if self.tensor.is_leaf and self.tensor.requires_grad != self.requires_grad:
            self.tensor.requires_grad_(self.requires_grad)
        if self.tensor.grad is not self.grad:
            self.tensor.grad = self.grad
        if self.grad is not None and self.grad_value is not None:
            self.grad.copy_(self.grad_value)


class _KeptOptimizer:
    """The settings of an optimizer's groups, and its state if it has not stepped yet."""

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self._groups = [(group, dict(group), list(group["params"]))
                        for group in optimizer.param_groups]
        self._unstepped = not optimizer.state

    def restore(self) -> None:
        for group, settings, parameters in self._groups:
            group.clear()
            group.update(settings)
            group["params"] = list(parameters)
        self._optimizer.param_groups[:] = [group for group, _, _ in self._groups]
        if self._unstepped:
            self._optimizer.state.clear()


class Keepsakes:
    """The user's own objects as they were.

    Args:
        values: What the user's modules hold; modules, trainable tensors and the settings of
            optimizers are kept.
    """

    def __init__(self, values: Iterable[object]) -> None:
        modules: dict[int, nn.Module] = {}
        tensors: dict[int, Tensor] = {}
        optimizers: dict[int, _KeptOptimizer] = {}
        for value in values:
            if isinstance(value, nn.Module):
                modules |= {id(module): module for module in value.modules()}
            elif isinstance(value, Optimizer):
                optimizers[id(value)] = _KeptOptimizer(value)
            elif isinstance(value, Tensor) and value.requires_grad and value.is_leaf:
                tensors[id(value)] = value
        for module in modules.values():
            for tensor in (*module._parameters.values(), *module._buffers.values()):
                if tensor is not None and not is_lazy(tensor):
                    tensors[id(tensor)] = tensor
        self._modes = [(module, module.training) for module in modules.values()]
        self._tensors = [_kept(tensor) for tensor in tensors.values()]
        self._optimizers = list(optimizers.values())

    def restore(self) -> None:
        """Put everything back as it was."""
        for module, training in self._modes:
            module.training = training
        for kept in self._tensors:
            kept.restore()
        for optimizer in self._optimizers:
            optimizer.restore()


def _kept(tensor: Tensor) -> _KeptTensor:
    grad = tensor.grad if tensor.is_leaf else None
    return _KeptTensor(
        tensor, tensor.detach().clone(), tensor.requires_grad, grad,
        grad.detach().clone() if grad is not None else None,
    )


def _same(one: Tensor, other: Tensor) -> bool:
    """Tell whether two tensors hold the same bits; NaN equals itself."""
    if one.shape != other.shape or one.is_sparse:
        return False
    return torch.equal(one, other) or bool(torch.equal(one.isnan(), other.isnan()) and
                                           torch.equal(one.nan_to_num(), other.nan_to_num()))
