"""Memory of a training step: what is saved for the backward pass, and what there is."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from auditor import batches, machine
from auditor.trial import Bench


def saved_bytes(bench: Bench, batch: Any) -> int:
    """Return what a forward pass keeps for the backward pass, parameters left out.

    Every storage counts once, with its whole size.
    """
    own = {p.untyped_storage().data_ptr() for p in bench.model.parameters()
           if p.layout == torch.strided}
    seen: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.layout == torch.strided:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                seen[storage.data_ptr()] = storage.nbytes()
        # An output that is saved with its graph would hold itself, and all of the model, for ever.
        return tensor.detach()

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = bench.loss(batches.private(batch)).loss
    del loss
    return sum(seen.values())


def fixed_bytes(bench: Bench) -> int:
    """Return what parameters, their gradients and the optimizer's state take."""
    held = sum(p.numel() * p.element_size() for p in bench.model.parameters())
    trained = sum(p.numel() * p.element_size() for p in bench.model.parameters()
                  if p.requires_grad)
    states = sum(1 for key in _state_names(bench) if key != "step")
    return held + trained * (1 + states)


def free_bytes(device: torch.device) -> int | None:
    """Return how much memory a training step could take on a device; None where unknown."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free) + torch.cuda.memory_reserved(device)
    if device.type != "cpu":
        return None
    return machine.free_bytes()


def _state_names(bench: Bench) -> set[str]:
    for state in bench.optimizer.state.values():
        return {name for name, value in state.items()
                if isinstance(value, Tensor) and value.dim() > 0}
    return set()
