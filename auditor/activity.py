"""Statistics of activations and of the signal between layers, from tensors that are not kept."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from auditor import functions
from auditor.functions import Activation
from auditor.recorder import Call, tensors_in

_ROWS = 64
_COLUMNS = 256
_VALUES = 8192
# Below this part of its largest derivative a bounded activation counts as flat.
_FLAT = 0.05
# Samples that differ by less than rounding are the same.
_CONSTANT = 1e-6
# Softmax rows over fewer choices are near one-hot by nature.
_CHOICES = 4
_CHANNELS_FIRST = (
    nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.MaxPool2d,
    nn.AvgPool2d,
)
_CHANNELS_LAST = (nn.Linear, nn.LayerNorm, nn.Embedding, nn.RNNBase, nn.MultiheadAttention)


@dataclass(slots=True)
class ActivationRecord:
    """What one activation did over the watched passes.

    Attributes:
        activation: Which function.
        alive: (U,) True for units that were above zero for any sample since the last `forget`.
        samples: Distinct inputs seen since then.
        order: Position among the calls of the first pass.
        per_sample: Its first dimension is the batch.
        rms, variation, slope, flat, mean: One value per watched pass; slope and flat only for
            bounded activations and softmax.
        values: A spread sample of the last watched pass's output, for histograms.
        constant_input: What reached it was the same for all samples, in every watched pass.
    """

    activation: Activation
    order: int
    alive: Tensor | None = None
    samples: int = 0
    per_sample: bool = True
    rms: list[float] = field(default_factory=list)
    variation: list[float] = field(default_factory=list)
    slope: list[float] = field(default_factory=list)
    flat: list[float] = field(default_factory=list)
    mean: list[float] = field(default_factory=list)
    values: Tensor | None = None
    constant_input: bool = True

    @property
    def dead_share(self) -> float:
        """Share of units that were zero for every sample seen; 0 for other families."""
        return 0.0 if self.alive is None else 1.0 - float(self.alive.float().mean())

    @property
    def units(self) -> int:
        """Units (channels) of a rectifier."""
        return 0 if self.alive is None else self.alive.numel()


class ActivationStatistics:
    """Listens for activation functions inside the model.

    Attributes:
        records: Subject -> what it did.
        batch_size: Samples in the watched pass, to tell batch dimensions from others.
        only_alive: Take nothing but which units fire (the cheapest pass).
    """

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size
        self.only_alive = False
        self.records: dict[str, ActivationRecord] = {}
        self._channels_first = False

    def forget(self) -> None:
        """Count living units and their samples from here on."""
        for record in self.records.values():
            record.alive, record.samples = None, 0

    def on_module(self, call: Call) -> None:
        """Remember where the last layer puts its units."""
        if isinstance(call.module, _CHANNELS_FIRST):
            self._channels_first = True
        elif isinstance(call.module, _CHANNELS_LAST):
            self._channels_first = False

    def on_function(self, call: Call) -> None:
        """Take the statistics of one activation's output."""
        if call.function is None or call.module is None or not isinstance(call.output, Tensor):
            return
        activation = functions.ACTIVATIONS.get(call.function)
        if activation is None or not call.output.is_floating_point() or not call.output.numel():
            return
        with torch.no_grad(), torch._C.DisableTorchFunction():
            self._note(call, activation, call.output.detach())

    def _note(self, call: Call, activation: Activation, output: Tensor) -> None:
        record = self.records.setdefault(
            call.subject, ActivationRecord(activation, len(self.records))
        )
        if activation.family == "rectifier":
            self._note_alive(record, output)
        record.samples += self.batch_size
        if self.only_alive:
            return
        record.per_sample = output.dim() >= 2 and output.shape[0] % self.batch_size == 0
        record.values = spread_sample(output, _VALUES).float()
        record.rms.append(rms_of(record.values))
        record.mean.append(float(record.values.mean()))
        if record.per_sample:
            record.variation.append(sample_variation(output))
        record.constant_input &= record.per_sample and _is_constant(call, output)
        if activation.family == "bounded":
            slope, flat = _slope(activation, record.values)
            record.slope.append(slope)
            record.flat.append(flat)
        elif activation.name == "softmax" and _choices(call) >= _CHOICES:
            slope, flat = _softmax_slope(call, output)
            record.slope.append(slope)
            record.flat.append(flat)

    def _note_alive(self, record: ActivationRecord, output: Tensor) -> None:
        unit = 1 if self._channels_first and output.dim() >= 3 else output.dim() - 1
        others = [d for d in range(output.dim()) if d != unit]
        alive = output.amax(dim=others) > 0 if others else output > 0
        if record.alive is None or record.alive.shape != alive.shape:
            record.alive = alive
        else:
            record.alive = record.alive | alive


def spread_sample(tensor: Tensor, count: int) -> Tensor:
    """Return at most `count` values of a tensor, (K,), spread evenly over all its dimensions.

    The stride is coprime with the size: a plain one would read a single channel only.
    """
    flat = tensor.reshape(-1)
    size = flat.numel()
    if size <= count:
        return flat
    stride = size // count
    while math.gcd(stride, size) != 1:
        stride -= 1
    return flat[::stride][:count] if stride > 1 else flat[:count]


def sample_matrix(tensor: Tensor) -> Tensor:
    """Return (n, f) values: at most 64 samples of the first dimension by 256 spread features."""
    rows = tensor.reshape(tensor.shape[0], -1)
    if rows.shape[0] > _ROWS:
        rows = rows[:: rows.shape[0] // _ROWS][:_ROWS]
    size = rows.shape[1]
    if size > _COLUMNS:
        stride = size // _COLUMNS
        while math.gcd(stride, size) != 1:
            stride -= 1
        rows = rows[:, ::stride][:, :_COLUMNS]
    return rows.float()


def sample_spread(tensor: Tensor) -> float:
    """Return the standard deviation over samples, rms over features, of a (N, ...) tensor."""
    matrix = sample_matrix(tensor)
    if matrix.shape[0] < 2:
        return math.nan
    return float(matrix.var(dim=0, unbiased=False).mean().sqrt())


def sample_variation(tensor: Tensor) -> float:
    """Return the spread over samples relative to the rms; 0 for an all-zero tensor."""
    matrix = sample_matrix(tensor)
    size = float(matrix.square().mean().sqrt())
    if matrix.shape[0] < 2 or size == 0:
        return 0.0 if matrix.shape[0] >= 2 else math.nan
    return float(matrix.var(dim=0, unbiased=False).mean().sqrt()) / size


def rms_of(tensor: Tensor) -> float:
    """Return the root mean square over all elements."""
    return float(torch.linalg.vector_norm(tensor.float())) / math.sqrt(tensor.numel())


def _is_constant(call: Call, output: Tensor) -> bool:
    """Tell whether all samples gave the activation the same; what was overwritten is not told."""
    source = next(tensors_in(call.args), None)
    if source is None or source.data_ptr() == output.data_ptr() or source.shape != output.shape:
        return False
    return sample_variation(source.detach()) < _CONSTANT


def _slope(activation: Activation, output: Tensor) -> tuple[float, float]:
    """Return the mean derivative over its maximum, and the share of flat values, from outputs."""
    half = (activation.high - activation.low) / 2
    centred = ((output - activation.low) / half - 1).clamp(-1, 1)
    if activation.name.startswith("hard"):
        slope = (centred.abs() < 1).float()
    elif activation.name == "softsign":
        slope = (1 - centred.abs()).square()
    else:
        slope = 1 - centred.square()
    return float(slope.mean()), float((slope < _FLAT).float().mean())


def _choices(call: Call) -> int:
    source = next(tensors_in(call.args), None)
    return source.shape[-1] if source is not None and source.dim() else 0


def _softmax_slope(call: Call, output: Tensor) -> tuple[float, float]:
    """Return how far rows are from one-hot (1 uniform, 0 one-hot) and the share of one-hot rows.

    Rows in which a mask leaves fewer than four choices are left out.
    """
    source: Any = next(tensors_in(call.args), None)
    rows = output.reshape(-1, output.shape[-1])
    allowed = (source.reshape(-1, output.shape[-1]) > -1e4).sum(dim=1)
    keep = allowed >= _CHOICES
    if not bool(keep.any()):
        return 1.0, 0.0
    rows, allowed = rows[keep].float(), allowed[keep].float()
    slope = (1 - rows.square().sum(dim=1)) / (1 - 1 / allowed)
    return float(slope.mean()), float((rows.amax(dim=1) > 0.99).float().mean())
