"""Gradients and updates of every parameter over a short run, from a few batched operations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from statistics import median

import torch
from torch import Tensor, nn

from auditor.sampling import coprime_stride

# Of each parameter so many runs of neighbours are seen. The ratio of an update to the weights is
# good to a few per cent with these, and a run costs what a single value does.
_RUNS, _RUN = 256, 4
# Sampled values, and steps, that wait to be computed together; ten steps at least, so that few
# operations serve many steps of a large model, too.
_WAITING_VALUES, _FEWEST_STEPS, _MOST_STEPS = 1 << 18, 10, 40
# Types whose norms are taken in float32; of others (float64, complex) only the wider one will do.
_NARROW = (torch.float32, torch.float16, torch.bfloat16)
_PLACE, _VERSION = Tensor.data_ptr, attrgetter("_version")


@dataclass(slots=True, eq=False)
class _Sample:
    """Sampled weights of all parameters in a row, (R, 4); how many rows each has, and where."""

    values: Tensor
    rows: list[int]
    parts: list[Tensor]


@dataclass(slots=True)
class _Step:
    """A recorded step: which parameters have gradients, their norms, weights before and after."""

    present: list[int]
    norms: Sequence[Tensor]
    before: _Sample
    after: _Sample | None = None


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
        self._first_sizes: list[float] = []
        self._samples: list[Tensor] = []
        self._places: list[int] = []
        # Samples that were computed, to be filled again: on a CPU a copy into what is there
        # already costs half of what one call costs that makes a new tensor out of many.
        self._free: list[_Sample] = []
        self._rows: list[int] = []
        self._is_copied = False
        self._waiting: list[_Step] = []
        self._most_waiting = _FEWEST_STEPS
        # The last sample, and the weights' versions that it holds for; none where versions do not
        # tell of the optimizer's updates.
        self._latest = _Sample(torch.zeros(0, _RUN), [], [])
        self._versions: list[int] = []

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
        """Take the gradients' norms and a sample of the weights, after a backward pass.

        The sample after the update before serves where nothing has written to the weights since.
        """
        if len(self._waiting) >= self._most_waiting:
            self._settle()
        present, gradients = [], []
        for index, parameter in enumerate(self.parameters):
            gradient = parameter.grad
            if gradient is not None and not gradient.is_sparse:
                present.append(index)
                gradients.append(gradient.detach() if gradient.requires_grad else gradient)
        versions = self._written()
        is_latest = versions == self._versions and self._in_place()
        before = self._latest if is_latest else self._sampled()
        self._versions = versions
        self._waiting.append(_Step(present, _norms(gradients), before))

    def after_update(self) -> None:
        """Take the weights after the update."""
        step, versions = self._waiting[-1], self._written()
        step.after = self._latest = self._sampled()
        # An optimizer that writes to `.data` leaves no trace, so that all has to be looked at.
        is_told = all(versions[index] != self._versions[index] for index in step.present)
        self._versions = versions if is_told else []

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

    def first_rms(self, index: int) -> float:
        """Return the rms of a parameter's sampled weights before the first recorded update."""
        self._settle()
        sampled = _RUN * self._rows[index] if self._first_sizes else 0
        return self._first_sizes[index] / math.sqrt(sampled) if sampled else math.nan

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

    def _sampled(self) -> _Sample:
        """Return the weights of all parameters as they are, sampled."""
        if not self._in_place():
            # The first time, or an optimizer that puts new tensors in the place of the old ones.
            self._samples = [_strided(parameter.detach()) for parameter in self.parameters]
            self._places = list(map(_PLACE, self.parameters))
            self._prepare()
        if not self._is_copied:
            values = torch.cat(self._samples) if self._samples else torch.zeros(0, _RUN)
            return _Sample(values, self._rows, [])
        sample = self._free.pop() if self._free else self._room()
        torch._foreach_copy_(sample.parts, self._samples)
        return sample

    def _room(self) -> _Sample:
        # What is made in inference mode is of no use outside of it.
        with torch.inference_mode(False):
            values = torch.empty(sum(self._rows), _RUN)
            return _Sample(values, self._rows, list(values.split_with_sizes(self._rows)))

    def _prepare(self) -> None:
        """Make room for a sample of all parameters, and say how many of them may wait."""
        self._rows = [len(sample) for sample in self._samples]
        self._most_waiting = min(_MOST_STEPS, max(
            _FEWEST_STEPS, _WAITING_VALUES // max(1, _RUN * sum(self._rows))))
        self._free = []
        self._is_copied = bool(self._rows) and all(
            sample.device.type == "cpu" for sample in self._samples)

    def _in_place(self) -> bool:
        """Tell whether the weights lie where they were sampled last."""
        return list(map(_PLACE, self.parameters)) == self._places

    def _written(self) -> list[int]:
        """Return how often each parameter was written to, as autograd counts it."""
        return list(map(_VERSION, self.parameters))

    def _settle(self) -> None:
        """Compute the steps that wait, with one transfer."""
        done = [step for step in self._waiting if step.after is not None]
        self._waiting = self._waiting[len(done):]
        if not done:
            return
        count = len(self.parameters)
        with torch.no_grad():
            moved, begun = _moves(done)
            norms = [norm for step in done for norm in step.norms]
            packed = [self._sizes(moved), self._sizes(begun)]
            packed += [torch.stack(norms)] if norms else []
            values = iter(torch.cat(packed).tolist())
        moves, sizes = ([list(islice(values, count)) for _ in done] for _ in range(2))
        self._first_sizes = self._first_sizes or sizes[0]
        for step, move, size in zip(done, moves, sizes, strict=True):
            by_parameter = [math.nan] * count
            for index in step.present:
                by_parameter[index] = next(values)
            self._present.append(step.present)
            self._gradient_norms.append(by_parameter)
            self._update_ratios.append(list(map(_ratio, move, size)))
        self._take_back(done)

    def _take_back(self, done: list[_Step]) -> None:
        """Keep the samples of steps that were computed for those to come."""
        used = {id(sample): sample for step in done for sample in (step.before, step.after)
                if sample is not None and sample.rows is self._rows}
        for sample in (self._latest, *(step.before for step in self._waiting)):
            used.pop(id(sample), None)
        if self._is_copied:
            self._free += used.values()

    def _sizes(self, values: Tensor) -> Tensor:
        """Return the norm of each parameter's values, (S, R, 4) -> (S * P)."""
        if not self._rows:
            return values.new_zeros(0)
        parts = values.flatten(1).split_with_sizes([_RUN * rows for rows in self._rows], dim=1)
        norms = [torch.linalg.vector_norm(part, dim=1) for part in parts]
        return torch.stack(norms, dim=1).flatten()


def _moves(steps: list[_Step]) -> tuple[Tensor, Tensor]:
    """Return what the steps moved and what they began with, (S, R, 4) each."""
    after = [step.after for step in steps if step.after is not None]
    before = [step.before for step in steps]
    if all(ended is begun for ended, begun in zip(after[:-1], before[1:], strict=True)):
        # Each step began where the one before it ended: half of them need not be read again.
        chain = torch.stack([sample.values.float() for sample in (before[0], *after)])
        begun, ended = chain[:-1], chain[1:]
    else:
        begun = torch.stack([sample.values.float() for sample in before])
        ended = torch.stack([sample.values.float() for sample in after])
    return ended - begun, begun


def _norms(gradients: list[Tensor]) -> Sequence[Tensor]:
    """Return the norm of each gradient, ()."""
    if not gradients:
        return ()
    if all(gradient.dtype in _NARROW for gradient in gradients):
        found: Sequence[Tensor] = torch._foreach_norm(gradients, 2, dtype=torch.float32)
        return found
    return [torch.linalg.vector_norm(gradient).double() for gradient in gradients]


def _strided(tensor: Tensor) -> Tensor:
    """Return a view of runs of values, (R, 4), spread; of complex numbers both parts.

    Of a small tensor each value is there four times.
    """
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    size = tensor.numel()
    extent = sum((n - 1) * stride
                 for n, stride in zip(tensor.shape, tensor.stride(), strict=True)) + 1
    if extent != size:
        # With gaps: along the longest dimension alone.
        longest = max(range(tensor.dim()), key=lambda dim: tensor.shape[dim])
        line = tensor.movedim(longest, -1)[(0,) * (tensor.dim() - 1)]
        return line[:_RUNS].unsqueeze(1).expand(-1, _RUN)
    # Without gaps, in whatever order the dimensions lie in memory.
    if size <= _RUNS:
        return tensor.as_strided((size, _RUN), (1, 0))
    places = size - _RUN + 1
    stride = max(_RUN, coprime_stride(places, _RUNS))
    return tensor.as_strided((min(_RUNS, (places - 1) // stride + 1), _RUN), (stride, 1))


def _ratio(move: float, size: float) -> float:
    return move / size if size > 0 else math.nan
