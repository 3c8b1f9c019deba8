"""Keeps the user's own modules and parameters as they are, bit for bit.

Trials train copies. But a loss with weights, a frozen teacher or the model itself may also be
reached through a global name from inside the user's functions, and then a trial changes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


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


class _KeptDict:
    """A dict: which objects it holds, and the content of dicts, lists, schedules and tensors."""

    def __init__(self, value: MutableMapping[Any, Any]) -> None:
        self._value = value
        self._items = dict(value)
        self._lists = [(item, list(item)) for item in value.values() if isinstance(item, list)]
        inner = [*value.values(), *(one for _, items in self._lists for one in items)]
        self._dicts = [_KeptDict(one) for one in map(_content, inner) if one is not None]
        self._tensors = [_kept(item) for item in value.values()
                         if isinstance(item, Tensor) and not is_lazy(item)]

    def restore(self) -> None:
        if not _same_objects(self._value, self._items):
            self._value.clear()
            self._value.update(self._items)
        for kept, items in self._lists:
            kept[:] = items
        for inner in self._dicts:
            inner.restore()
        for tensor in self._tensors:
            tensor.restore()


def _content(value: object) -> MutableMapping[Any, Any] | None:
    """Return the dict that an object is, or that a schedule keeps its state in."""
    if isinstance(value, LRScheduler):
        return vars(value)
    return value if isinstance(value, dict) else None


def _same_objects(one: Mapping[Any, Any], other: Mapping[Any, Any]) -> bool:
    return [(id(k), id(v)) for k, v in one.items()] == [(id(k), id(v)) for k, v in other.items()]


def _hooks_of(module: nn.Module) -> Iterator[dict[Any, Any]]:
    """Yield the dicts in which a module keeps its hooks."""
    return (value for name, value in vars(module).items()
            if "_hooks" in name and isinstance(value, dict))


class Keepsakes:
    """The user's own objects as they were.

    Args:
        values: What the user's modules hold; modules, trainable tensors, optimizers and their
            schedules are kept.
    """

    def __init__(self, values: Iterable[object]) -> None:
        modules: dict[int, nn.Module] = {}
        tensors: dict[int, Tensor] = {}
        dicts: dict[int, MutableMapping[Any, Any]] = {}
        for value in values:
            if isinstance(value, nn.Module):
                modules |= {id(module): module for module in value.modules()}
            elif isinstance(value, (Optimizer, LRScheduler)):
                dicts[id(value)] = vars(value)
            elif isinstance(value, Tensor) and value.requires_grad and value.is_leaf:
                tensors[id(value)] = value
        for module in modules.values():
            for tensor in (*module._parameters.values(), *module._buffers.values()):
                if tensor is not None and not is_lazy(tensor):
                    tensors[id(tensor)] = tensor
            dicts |= {id(hooks): hooks for hooks in _hooks_of(module)}
        self._modes = [(module, module.training) for module in modules.values()]
        self._tensors = [_kept(tensor) for tensor in tensors.values()]
        self._dicts = [_KeptDict(value) for value in dicts.values()]

    def restore(self) -> None:
        """Put everything back as it was."""
        for module, training in self._modes:
            module.training = training
        for kept in self._tensors:
            kept.restore()
        for dictionary in self._dicts:
            dictionary.restore()


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
