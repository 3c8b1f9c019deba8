"""Statistics of activations, from tensors that are not kept.

A watched pass only copies a sample of each activation, and keeps the largest output
of each rectifier unit. All else is computed later, for many samples at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from auditor import functions
from auditor.functions import Activation
from auditor.recorder import Call, tensors_in
from auditor.sampling import Samples
from auditor.steepness import slopes

# Values of a sample: of one pass among many, and of a pass that is looked at by itself.
_VALUES = 1024
_CLOSE_VALUES = 8192
# What all samples that wait to be computed take, in values.
_WAITING = 1 << 18
# Samples that differ by less than rounding are the same; by less than this part of their size they
# hardly differ.
_CONSTANT, _HARDLY = 1e-6, 0.05
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
        order: Position among the calls of the first pass.
        unit: Dimension of a rectifier's units; None until a pass has seen what comes before it.
        peaks: (U,) largest output of each unit of a rectifier since the last `forget`, in the
            passes that were looked at.
        all_fire: Each of them has fired since then, so that no further pass need be looked at.
        samples: Distinct inputs seen since then.
        per_sample: Its first dimension is the batch.
        rms, variation, slope, flat, mean: One value per watched pass; variation only where there
            are several samples, slope and flat only for activations that saturate.
        values: The sample of the last close look's output, for histograms.
        constant_input: What reached it was the same for all samples in the first watched pass, and
            hardly differed in every other one.
        input_unseen: What reached it cannot be seen, as where the output takes its place.
    """

    activation: Activation
    order: int
    unit: int | None = None
    peaks: Tensor | None = None
    all_fire: bool = False
    samples: int = 0
    per_sample: bool = True
    rms: list[float] = field(default_factory=list)
    variation: list[float] = field(default_factory=list)
    slope: list[float] = field(default_factory=list)
    flat: list[float] = field(default_factory=list)
    mean: list[float] = field(default_factory=list)
    values: Tensor | None = None
    constant_input: bool = True
    input_unseen: bool = False

    @property
    def units(self) -> int:
        """Units (channels) of a rectifier."""
        return 0 if self.peaks is None else self.peaks.numel()


@dataclass(slots=True)
class _Waiting:
    """A sample that was taken: the output of an activation, or what reached it."""

    record: ActivationRecord
    is_input: bool
    close: bool
    several: bool


class ActivationStatistics:
    """Listens for activation functions inside the model.

    Args:
        batch_size: Samples in the watched pass, to tell batch dimensions from others.

    Attributes:
        listens_to: What the recorder has to tell it of.
        batch_size: May change from pass to pass.
        only_alive: Take nothing but which units fire (the cheapest pass).
        close: Take larger samples, and keep them for histograms.
        layouts: The recorder tells of modules in this pass, as it has to for what is new.
        unplaced: A rectifier has come up whose layout is not known.
        turn: Of the pass, which decides where samples begin.
        peaks: Look which units fire; it costs as much as all else, and a few passes are enough.
    """

    listens_to = frozenset(functions.ACTIVATIONS)

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size
        self.only_alive = False
        self.close = False
        self.layouts = True
        self.unplaced = True
        self.peaks = True
        self._records: dict[str, ActivationRecord] = {}
        self._channels_first = False
        self.turn = 0
        self._waiting: list[_Waiting] = []
        self._samples = {
            close: Samples(values, _WAITING // values)
            for close, values in ((False, _VALUES), (True, _CLOSE_VALUES))
        }

    @property
    def records(self) -> dict[str, ActivationRecord]:
        """Subject -> what it did. Reading it computes what was only copied so far."""
        self.settle()
        return self._records

    @property
    def asks_for_inputs(self) -> bool:
        """What reaches some activation has been the same for all samples, so far as is known."""
        return any(record.constant_input for record in self._records.values())

    def forget(self) -> None:
        """Count living units and their samples from here on."""
        for record in self._records.values():
            record.peaks, record.all_fire, record.samples = None, False, 0

    def dead_shares(self) -> dict[str, float]:
        """Return for each rectifier the share of units that were zero for every sample seen.

        What is not a number is no zero: such a unit is not dead.
        """
        known = {subject: record.peaks for subject, record in self._records.items()
                 if record.peaks is not None}
        shares = [(peaks <= 0).float().mean() for peaks in known.values()]
        return dict(zip(known, torch.stack(shares).tolist() if shares else [], strict=True))

    def on_module(self, call: Call) -> None:
        """Remember where the last layer puts its units."""
        if isinstance(call.module, _CHANNELS_FIRST):
            self._channels_first = True
        elif isinstance(call.module, _CHANNELS_LAST):
            self._channels_first = False

    def on_function(self, call: Call) -> None:
        """Take a sample of one activation's output."""
        if call.function in self.listens_to and call.module is not None:
            with torch._C.DisableTorchFunction():
                self.take(call.subject, call.function, call.args, call.output)

    def take(
        self, subject: str, function: functions.Function, args: tuple[Any, ...], output: Any,
        rest: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        """Take a sample of the output of one activation, called by hand or by a watcher.

        Args:
            subject: Name of the layer.
            function: The activation.
            args: What it got.
            output: What came back; or the input, of an activation that is no rectifier.
            rest: Makes the output's sample of the input's.
        """
        if not isinstance(output, Tensor) or not output.is_floating_point() or not output.numel():
            return
        record = self._records.get(subject)
        if record is None:
            record = ActivationRecord(functions.ACTIVATIONS[function], len(self._records))
            self._records[subject] = record
        # Cheaper than a detached view of each tensor that is looked at.
        differentiates = torch.is_grad_enabled()
        torch._C._set_grad_enabled(False)
        try:
            if self.peaks:
                record.samples += self.batch_size
                if record.activation.family == "rectifier" and (
                        self.layouts or not record.all_fire):
                    self._note_peaks(record, output)
            if not self.only_alive:
                self._note_values(record, args, output, rest)
        finally:
            torch._C._set_grad_enabled(differentiates)

    def _note_peaks(self, record: ActivationRecord, output: Tensor) -> None:
        if self.layouts:
            record.unit = 1 if self._channels_first and output.dim() >= 3 else output.dim() - 1
        unit = record.unit
        if unit is None or unit >= output.dim():
            self.unplaced = True
            return
        inner = tuple(range(unit + 1, output.dim()))
        # Two reductions of neighbouring dimensions cost half of one over both sides of the unit.
        peaks = output.amax(inner) if inner else output
        if unit > 0:
            peaks = peaks.amax(tuple(range(unit)))
        if record.peaks is None or record.peaks.shape != peaks.shape:
            record.peaks, record.all_fire = peaks.clone(), False
        else:
            record.peaks = torch.fmax(record.peaks, peaks)

    def _note_values(
        self, record: ActivationRecord, args: tuple[Any, ...], output: Tensor,
        rest: Callable[[Tensor], Tensor] | None,
    ) -> None:
        shape = output.shape
        record.per_sample = len(shape) >= 2 and shape[0] % self.batch_size == 0
        if record.constant_input:
            source = _input_of(args, output) if record.per_sample else None
            record.input_unseen = source is None
            record.constant_input = record.per_sample and not (
                record.input_unseen and record.activation.saturates)
            if source is not None:
                self._copy(source, record, is_input=True)
        self._copy(output, record, rest, is_input=False)

    def _copy(
        self, tensor: Tensor, record: ActivationRecord,
        rest: Callable[[Tensor], Tensor] | None = None, *, is_input: bool,
    ) -> None:
        samples = self._samples[self.close]
        if samples.full:
            self.settle()
        several = samples.take(tensor, self.turn, rest)
        self._waiting.append(_Waiting(record, is_input, self.close, several))

    def settle(self) -> None:
        """Compute the samples that wait, with one transfer for all that were taken alike."""
        for close, samples in self._samples.items():
            rows = [waiting for waiting in self._waiting if waiting.close is close]
            if rows:
                with torch.no_grad(), torch._C.DisableTorchFunction():
                    _note(rows, *samples.drain())
                    _note_firing([waiting.record for waiting in rows])
        self._waiting = []


def _note(rows: list[_Waiting], taken: Tensor, valid: Tensor, counts: list[int]) -> None:
    """Write the statistics of the samples (R, 2, P) into their records."""
    flat = taken.flatten(1)
    apart = torch.linalg.vector_norm(taken[:, 0] - taken[:, 1], dim=1)
    found = (flat.sum(1), torch.linalg.vector_norm(flat, dim=1), apart)
    sums, norms, spreads, slope, share = torch.stack(
        [*found, *slopes(list(map(_bounded, rows)), taken, valid)]).tolist()
    for row, waiting in enumerate(rows):
        size = 2 * counts[row]
        level = norms[row] / math.sqrt(size)
        variation = _variation(spreads[row] / math.sqrt(size), level, waiting.several)
        record = waiting.record
        if waiting.is_input or record.input_unseen:
            # Of an input that is not seen the output tells, unless no unit lets anything through.
            tells = waiting.is_input or level > 0
            record.constant_input &= tells and variation < (_HARDLY if record.rms else _CONSTANT)
        if waiting.is_input:
            continue
        record.rms.append(level)
        record.mean.append(sums[row] / size)
        if record.per_sample:
            record.variation.append(variation)
        if record.activation.saturates:
            record.slope.append(slope[row] / size)
            record.flat.append(share[row] / size)
        if waiting.close:
            record.values = taken[row, :, : counts[row]].flatten().clone()


def _note_firing(records: list[ActivationRecord]) -> None:
    """Note of which rectifiers all units have fired; what fired once is never dead again."""
    asked = {id(record): record for record in records
             if record.peaks is not None and not record.all_fire}
    fire = [(record.peaks > 0).all() for record in asked.values() if record.peaks is not None]
    if fire:
        told = torch.stack([one.to(fire[0].device) for one in fire]).tolist()
        for record, all_fire in zip(asked.values(), told, strict=True):
            record.all_fire = all_fire


def _variation(apart: float, level: float, several: bool) -> float:
    if not several:
        return math.nan
    return apart / level if level else 0.0


def _bounded(waiting: _Waiting) -> Activation | None:
    """Return the activation whose outputs these are, if it saturates."""
    asked = waiting.record.activation.saturates and not waiting.is_input
    return waiting.record.activation if asked else None


def _input_of(args: tuple[Any, ...], output: Tensor) -> Tensor | None:
    """Return what an activation got; None where it was overwritten, or has another shape."""
    source = next(tensors_in(args), None)
    if source is None or source.shape != output.shape or not source.is_floating_point():
        return None
    return None if source.data_ptr() == output.data_ptr() else source
