"""The state of a model in training, to return to it bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from auditor import batches
from auditor.isolation import Generators
from auditor.shelf import Laid, Shelf

# What is larger than this waits in a file: several states in memory would be many times the model.
_LARGE = 8 << 20


@dataclass(frozen=True)
class Snapshot:
    """Parameters and buffers by name, the optimizer, the step number, the global generators."""

    tensors: dict[str, Tensor | Laid]
    optimizer: dict[str, Any]
    steps: int
    generators: Generators

    @classmethod
    def of(cls, model: nn.Module, optimizer: Optimizer, steps: int) -> Snapshot:
        """Copy the state."""
        held = optimizer.state_dict()
        size = batches.size_in_bytes((dict(_state(model)), held))
        keep = Shelf().lay if size > _LARGE else _clone
        return cls({name: keep(tensor) for name, tensor in _state(model)},
                   copied(held, keep), steps, Generators.now())

    def put_back(self, model: nn.Module, optimizer: Optimizer) -> None:
        """Put model and optimizer into the state; gradients are cleared."""
        optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            for name, mine in _state(model):
                kept = self.tensors.get(name)
                if kept is not None and mine.shape == kept.shape:
                    _put(kept, mine)
                elif kept is not None:
                    # A state that the forward pass replaces, for example for a shorter batch.
                    mine.data = _clone(kept)
        optimizer.load_state_dict(copied(self.optimizer))


def copied(value: Any, copy: Callable[[Any], Any] | None = None) -> Any:
    """Return a copy of nested dicts, lists and tensors.

    Args:
        value: What is copied.
        copy: Of one tensor; a copy in memory if it is not given.
    """
    if isinstance(value, (Tensor, Laid)):
        return (copy or _clone)(value)
    if isinstance(value, dict):
        return {key: copied(item, copy) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(copied(item, copy) for item in value)
    return value


def _clone(kept: Tensor | Laid) -> Tensor:
    return kept.tensor() if isinstance(kept, Laid) else kept.detach().clone()


def _put(kept: Tensor | Laid, tensor: Tensor) -> None:
    if isinstance(kept, Laid):
        kept.put_into(tensor)
    else:
        tensor.copy_(kept)


def _state(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from model.named_parameters()
    yield from model.named_buffers()
