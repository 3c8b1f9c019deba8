"""The state of a model in training, to return to it bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from auditor.isolation import Generators


@dataclass(frozen=True)
class Snapshot:
    """Parameters and buffers by name, the optimizer, the step number, the global generators."""

    tensors: dict[str, Tensor]
    optimizer: dict[str, Any]
    steps: int
    generators: Generators

    @classmethod
    def of(cls, model: nn.Module, optimizer: Optimizer, steps: int) -> Snapshot:
        """Copy the state."""
        return cls(
            {name: tensor.detach().clone() for name, tensor in _state(model)},
            copied(optimizer.state_dict()), steps, Generators.now(),
        )

    def put_back(self, model: nn.Module, optimizer: Optimizer) -> None:
        """Put model and optimizer into the state; gradients are cleared."""
        with torch.no_grad():
            for name, mine in _state(model):
                kept = self.tensors.get(name)
                if kept is not None and mine.shape == kept.shape:
                    mine.copy_(kept)
                elif kept is not None:
                    # A state that the forward pass replaces, for example for a shorter batch.
                    mine.data = kept.clone()
        optimizer.load_state_dict(copied(self.optimizer))
        optimizer.zero_grad(set_to_none=True)


def copied(value: Any) -> Any:
    """Return a copy of nested dicts, lists and tensors."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(copied(item) for item in value)
    return value


def _state(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from model.named_parameters()
    yield from model.named_buffers()
