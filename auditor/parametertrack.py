"""Gradients and updates of every parameter over a short run, from a few batched operations."""

from __future__ import annotations

import math
from statistics import median

import torch
from torch import Tensor, nn

from auditor.sampling import coprime_stride

# Of each parameter; the ratio of an update to the weights is good to a few per cent with these.
_VALUES = 1024


class ParameterTrack:
    """What each parameter's gradient and update did; one entry per watched step.

    The norms of the gradients are exact, the updates are seen in a sample of each parameter. All
    of one step takes a single transfer from the device.

    Args:
        model: Its trainable parameters are tracked.

    Attributes:
        names: Of the trainable parameters, in model order.
        parameters: The live parameters, in that order.
        gradient_norms: One value per parameter and step; NaN for a parameter without gradient.
        update_ratios: One value per parameter and step, rms(update) / rms(weight); only for steps
            whose gradients were finite.
    """

    def __init__(self, model: nn.Module) -> None:
        found = [(n, p) for n, p in model.named_parameters() if p.requires_grad and p.numel()]
        self.names = [name for name, _ in found]
        self.parameters = [parameter for _, parameter in found]
        self.gradient_norms: list[list[float]] = []
        self.update_ratios: list[list[float]] = []
        self._owners: Tensor | None = None
        self._samples: list[Tensor] = []
        self._places: list[int] = []
        self._before: Tensor | None = None
        self._present: list[int] = []
        self._norms: list[Tensor] = []

    def before_update(self) -> None:
        """Take the gradients' norms and a sample of the weights, after a backward pass."""
        if not self.parameters:
            return
        with torch.no_grad():
            self._before = self._sampled()
            gradients = {index: parameter.grad for index, parameter in enumerate(self.parameters)
                         if parameter.grad is not None and not parameter.grad.is_sparse}
            self._present = list(gradients)
            self._norms = []
            if gradients:
                self._norms = list(torch._foreach_norm(
                    list(gradients.values()), 2, dtype=torch.float32))

    def after_update(self) -> bool:
        """Take the updates, and tell whether all gradients were finite."""
        if self._before is None:
            self.gradient_norms.append([math.nan] * len(self.parameters))
            return True
        with torch.no_grad():
            moves = self._sums((self._sampled() - self._before).square())
            packed = [moves, self._sums(self._before.square())]
            if self._norms:
                packed.append(torch.stack(self._norms))
            values = torch.cat(packed).tolist()
        self._before = None
        count = len(self.parameters)
        norms = values[2 * count:]
        by_parameter = [math.nan] * count
        for index, norm in zip(self._present, norms, strict=True):
            by_parameter[index] = norm
        self.gradient_norms.append(by_parameter)
        finite = all(map(math.isfinite, norms))
        if finite:
            self.update_ratios.append([_ratio(move, size) for move, size in zip(
                values[:count], values[count: 2 * count], strict=True)])
        return finite

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
        return torch.cat(self._samples).float()

    def _sums(self, values: Tensor) -> Tensor:
        """Return the sum over each parameter's values, (P,)."""
        if self._owners is None:
            counts = torch.tensor([len(sample) for sample in self._samples])
            self._owners = torch.repeat_interleave(counts).to(values.device)
        return values.new_zeros(len(self.parameters)).index_add_(0, self._owners, values)


def _strided(tensor: Tensor) -> Tensor:
    """Return a view of at most 1,024 spread values."""
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
