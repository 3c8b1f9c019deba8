"""Gradients and updates of every parameter over a short run, from a few batched operations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import islice
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from auditor.sampling import coprime_stride

# Of each parameter; the ratio of an update to the weights is good to a few per cent with these.
_VALUES = 1024
# Steps that wait to be computed together.
_WAITING_STEPS = 10
# Types whose norms are taken in float32; of others (float64, complex) only the wider one will do.
_NARROW = (torch.float32, torch.float16, torch.bfloat16)


@dataclass(slots=True)
class _Step:
    """A recorded step: which parameters have gradients, their norms, weights before and after."""

    present: list[int]
    norms: list[Tensor]
    before: Tensor
    after: Tensor | None = None


class ParameterTrack:
    """What each parameter's gradient and update did; one entry per recorded step.

    The norms of the gradients are exact, the updates are seen in a sample of each parameter. They
    are computed and fetched for several steps at once, when somebody reads them.

    Args:
        model: Its trainable parameters are tracked.

    Attributes:
        names: Of the trainable parameters, in model order.
        parameters: The live parameters, in that order.
    """

    def __init__(self, model: nn.Module) -> None:
        found = [(n, p) for n, p in model.named_parameters() if p.requires_grad and p.numel()]
        self.names = [name for name, _ in found]
        self.parameters = [parameter for _, parameter in found]
        self._gradient_norms: list[list[float]] = []
        self._update_ratios: list[list[float]] = []
        self._present: list[list[int]] = []
        self._owners: Tensor | None = None
        self._samples: list[Tensor] = []
        self._places: list[int] = []
        self._waiting: list[_Step] = []

    @property
    def gradient_norms(self) -> list[list[float]]:
        """One value per parameter and step; NaN for a parameter without gradient."""
        self._settle()
        return self._gradient_norms

    @property
    def update_ratios(self) -> list[list[float]]:
        """One value per parameter and step, rms(update) / rms(weight)."""
        self._settle()
        return self._update_ratios

    def before_update(self) -> None:
        """Take the gradients' norms and a sample of the weights, after a backward pass."""
        if len(self._waiting) >= _WAITING_STEPS:
            self._settle()
        gradients = [parameter.grad for parameter in self.parameters]
        present = [index for index, gradient in enumerate(gradients)
                   if gradient is not None and not gradient.is_sparse]
        with torch.no_grad():
            norms = _norms([gradients[index] for index in present])
            self._waiting.append(_Step(present, norms, self._sampled()))

    def after_update(self) -> None:
        """Take the weights after the update."""
        with torch.no_grad():
            self._waiting[-1].after = self._sampled()

    def first_fault(self) -> tuple[int, list[str]] | None:
        """Return the first step with a gradient that is not finite, and its parameters."""
        for step, norms in enumerate(self.gradient_norms):
            broken = [self.names[index] for index in self._present[step]
                      if not math.isfinite(norms[index])]
            if broken:
                return step, broken
        return None

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

    def _sampled(self) -> Tensor:
        """Return the sampled weights of all parameters in a row, (V,)."""
        places = [parameter.data_ptr() for parameter in self.parameters]
        if places != self._places:
            # The first time, or an optimizer that puts new tensors in the place of the old ones.
            self._samples = [_strided(parameter.detach()) for parameter in self.parameters]
            self._places = places
        return torch.cat(self._samples) if places else torch.zeros(0)

    def _settle(self) -> None:
        """Compute the steps that wait, with one transfer."""
        done = [step for step in self._waiting if step.after is not None]
        self._waiting = self._waiting[len(done):]
        if not done:
            return
        count = len(self.parameters)
        with torch.no_grad():
            before = torch.stack([step.before.float() for step in done])
            after = torch.stack([step.after.float() for step in done if step.after is not None])
            sums = self._sums(torch.cat([(after - before).square(), before.square()]))
            norms = [norm for step in done for norm in step.norms]
            packed = [sums.flatten(), *([torch.stack(norms)] if norms else [])]
            values = iter(torch.cat(packed).tolist())
        moves, sizes = ([list(islice(values, count)) for _ in done] for _ in range(2))
        for step, moved, size in zip(done, moves, sizes, strict=True):
            by_parameter = [math.nan] * count
            for index in step.present:
                by_parameter[index] = next(values)
            self._present.append(step.present)
            self._gradient_norms.append(by_parameter)
            self._update_ratios.append(list(map(_ratio, moved, size)))

    def _sums(self, values: Tensor) -> Tensor:
        """Return the sum over each parameter's values, (S, V) -> (S, P)."""
        if self._owners is None:
            counts = torch.tensor([len(sample) for sample in self._samples])
            self._owners = torch.repeat_interleave(counts).to(values.device)
        return values.new_zeros(len(values), len(self.parameters)).index_add_(
            1, self._owners, values)


def _norms(gradients: list[Any]) -> list[Tensor]:
    """Return the norm of each gradient, ()."""
    if not gradients:
        return []
    if all(gradient.dtype in _NARROW for gradient in gradients):
        return list(torch._foreach_norm(gradients, 2, dtype=torch.float32))
    return [torch.linalg.vector_norm(gradient).double() for gradient in gradients]


def _strided(tensor: Tensor) -> Tensor:
    """Return a view of at most 1,024 spread values; of complex numbers both parts."""
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    size, count = tensor.numel(), min(_VALUES, tensor.numel())
    extent = sum((n - 1) * stride
                 for n, stride in zip(tensor.shape, tensor.stride(), strict=True)) + 1
    if extent == size:
        # Without gaps, in whatever order the dimensions lie in memory.
        return tensor.as_strided((count,), (coprime_stride(size, count),))
    longest = max(range(tensor.dim()), key=lambda dim: tensor.shape[dim])
    return tensor.movedim(longest, -1)[(0,) * (tensor.dim() - 1)][:count]


def _ratio(move: float, size: float) -> float:
    return math.sqrt(move / size) if size > 0 else math.nan
