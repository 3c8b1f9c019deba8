"""Gradients and updates of every parameter over a short run, from a few batched operations."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from statistics import median

import torch
from torch import Tensor, nn


@dataclass
class ParameterTrack:
    """What each parameter's gradient and update did; one entry per step or per watched step.

    Attributes:
        names: Of the trainable parameters, in model order.
        parameters: The live parameters, in that order.
        gradient_norms: One value per parameter and step; NaN for a parameter without gradient.
        update_ratios: One value per parameter and watched step, rms(update) / rms(weight).
    """

    names: list[str]
    parameters: list[nn.Parameter]
    gradient_norms: list[list[float]] = field(default_factory=list)
    update_ratios: list[list[float]] = field(default_factory=list)
    _before: list[Tensor] = field(default_factory=list)

    @classmethod
    def of(cls, model: nn.Module) -> ParameterTrack:
        """Track the trainable parameters of a model."""
        found = [(n, p) for n, p in model.named_parameters() if p.requires_grad and p.numel()]
        return cls([name for name, _ in found], [parameter for _, parameter in found])

    def note_gradients(self) -> bool:
        """Take the gradients' norms after a backward pass; tell whether all are finite."""
        present = {index: parameter.grad for index, parameter in enumerate(self.parameters)
                   if parameter.grad is not None and not parameter.grad.is_sparse}
        norms = torch._foreach_norm(list(present.values())) if present else ()
        found = torch.stack([norm.float() for norm in norms]).tolist() if present else []
        values = [math.nan] * len(self.parameters)
        for index, value in zip(present, found, strict=True):
            values[index] = value
        self.gradient_norms.append(values)
        return all(map(math.isfinite, found))

    def before_step(self) -> None:
        """Keep the weights, to take the update after the step."""
        self._before = [p.detach().clone() for p in self.parameters]

    def after_step(self) -> None:
        """Take the size of the step's updates."""
        now = [p.detach() for p in self.parameters]
        if not now:
            return
        sizes = torch.stack([n.float() for n in torch._foreach_norm(self._before)])
        moves = torch.stack([n.float() for n in torch._foreach_norm(
            torch._foreach_sub(now, self._before))])
        self.update_ratios.append((moves / sizes).tolist())
        self._before = []

    def update_ratio(self, index: int, *, skip: int = 0) -> float:
        """Return the median ratio of a parameter over the watched steps, from step `skip` on."""
        values = [ratios[index] for ratios in self.update_ratios[skip:]]
        finite = [value for value in values if math.isfinite(value)]
        return median(finite) if finite else math.nan

    def update_of(self, prefix: str) -> float:
        """Return the largest update ratio of the parameters whose name begins so."""
        values = [self.update_ratio(index) for index, name in enumerate(self.names)
                  if name.startswith(prefix)]
        return max((value for value in values if math.isfinite(value)), default=math.nan)

    def gradient_rms(self, index: int, step: int) -> float:
        """Return the rms of a parameter's gradient at a step."""
        return self.gradient_norms[step][index] / math.sqrt(self.parameters[index].numel())

    def total_norms(self) -> list[float]:
        """Return the norm over all parameters' gradients at each step."""
        return [math.sqrt(sum(n * n for n in norms if not math.isnan(n)))
                for norms in self.gradient_norms]

    def growth_decades(self, index: int) -> float:
        """Return log10 of the largest gradient norm over the first one that is not zero."""
        values = [norms[index] for norms in self.gradient_norms]
        known = [value for value in values if math.isfinite(value) and value > 0]
        return math.log10(max(known) / known[0]) if known else math.nan
