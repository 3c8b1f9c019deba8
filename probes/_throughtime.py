"""How the gradient fares on its way back through the time steps of a recurrent layer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

# Shorter sequences say too little about a rate per step.
_SHORTEST = 8


@dataclass(frozen=True, slots=True)
class ThroughTime:
    """The gradient with respect to a recurrent layer's input, over time.

    Attributes:
        layer: Path of the module.
        plain: A tanh or ReLU recurrence without gates.
        length: Time steps.
        decades: log10 of the gradient's norm at the first steps over that at the last ones.
    """

    layer: str
    plain: bool
    length: int
    decades: float


class InputGradients:
    """Makes the inputs of recurrent layers ask for gradients while a pass runs.

    Attributes:
        inputs: Path -> module and its live input, (N, T, F) or (T, N, F).
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self.inputs: dict[str, tuple[nn.RNNBase, Tensor]] = {}

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Watch the recurrent layers inside; the hooks come off again."""
        with ExitStack() as stack:
            for path, module in self._model.named_modules():
                if isinstance(module, nn.RNNBase):
                    handle = module.register_forward_pre_hook(self._hook(path))
                    stack.callback(handle.remove)
            yield

    def results(self) -> list[ThroughTime]:
        """Return what the backward pass left, for sequences that are long enough."""
        found = []
        for path, (module, tensor) in self.inputs.items():
            if tensor.grad is None or tensor.dim() != 3:
                continue
            time = 1 if module.batch_first else 0
            other = tuple(d for d in range(3) if d != time)
            norms = torch.linalg.vector_norm(tensor.grad.float(), dim=other)
            if len(norms) >= _SHORTEST and not module.bidirectional:
                found.append(ThroughTime(path, type(module) is nn.RNN, len(norms), _slope(norms)))
        return found

    def _hook(self, path: str) -> Any:
        def ask(module: nn.RNNBase, args: tuple[Any, ...]) -> Any:
            source = args[0] if args else None
            if path in self.inputs or not isinstance(source, Tensor):
                return None
            if not source.requires_grad:
                source = source.detach().requires_grad_()
            source.retain_grad()
            self.inputs[path] = (module, source)
            return (source, *args[1:])

        return ask


def _slope(norms: Tensor) -> float:
    """Return log10 of the mean over the first tenth relative to the last tenth."""
    part = max(1, len(norms) // 10)
    first, last = float(norms[:part].mean()), float(norms[-part:].mean())
    if not (math.isfinite(first) and math.isfinite(last)) or last <= 0:
        return math.nan
    return math.log10(first / last) if first > 0 else -math.inf
