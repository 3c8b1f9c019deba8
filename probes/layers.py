"""A short run at the user's own rate, layer by layer: activations, gradients, updates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from torch import Tensor

from auditor.activity import ActivationRecord
from auditor.layergraph import ActivationUse
from auditor.numerics import fall_in_sigmas, peak_over_first
from auditor.probe import Cost, OutOfTime, ProbeContext

from . import _layer_quantities as quantities
from ._depth import DepthRow, depth_rows, fed_variation, linear_runs
from ._layer_quantities import names
from ._layer_series import note_series
from ._shortrun import ShortRun, short_run

_STEPS = 45
_FEWEST = 6
_BATCHES = 48
# Where the samples hardly differ before a stretch of layers, it cannot be the one to lose them.
_TOLD_APART = 0.05
# log10 of rms(w) sqrt(fan_in) below which a weight counts as grown from zero.
_NEAR_ZERO = 0.1


class Layers:
    """Runs the user's training for some steps and watches the layers."""

    name = "layers"
    says = "watches activations, gradients and updates over a short run"
    cost = Cost(steps=_STEPS + 12, minimum_steps=_FEWEST + 4, trains=True)
    yields = quantities.ALL
    after: tuple[str, ...] = ()

    def run(self, context: ProbeContext) -> None:
        """Measure.

        Raises:
            OutOfTime: Too little time for a few steps.
        """
        steps = context.affordable_steps(_STEPS + 12, minimum=_FEWEST + 4) - 12
        steps = max(steps, _FEWEST)
        run = short_run(context.target, context.batches.train(min(steps, _BATCHES)), steps=steps,
                        seed=context.seed, deadline=context.deadline)
        context.note.steps = run.steps
        if run.fault_step < 0 and len(run.losses) < _FEWEST:
            raise OutOfTime(f"only {len(run.losses)} steps could be taken in the time")
        _note_activations(context, run)
        rows = depth_rows(run.start.layers, run.end_deltas or _start_deltas(run), run.track)
        _note_depth(context, run, rows)
        _note_growth(context, run, rows)
        _note_updates(context, run)
        _note_linear(context, run)
        _note_finite(context, run)
        _note_half(context, run)
        note_series(context.note, run)
        run.start.let_go()


def _start_deltas(run: ShortRun) -> dict[str, float]:
    return {use.name: use.delta for use in run.start.layers}


def _note_activations(context: ProbeContext, run: ShortRun) -> None:
    uses = {use.subject: use for use in run.start.activations}
    fed = fed_variation(run.start.layers)
    # A softmax over many is flat where no option has most of the weight; a normalisation of what
    # the next layer makes of it undoes that.
    undone = {call for layer in run.start.layers if layer.ends == "normalisation"
              for call in layer.activations if call.activation.family == "softmax"}
    for subject, record in run.statistics.records.items():
        use = uses.get(subject)
        if use is None or not use.hidden:
            continue
        # Where every sample gives the same, half of the units are off, and live all the same; all
        # of them are so by no chance.
        all_dead = run.dead_at_end.get(subject, 0.0) == 1
        if subject in run.dead_at_start and (all_dead or not record.constant_input):
            _note_rectifier(context, run, subject, record)
        if not use.gates:
            if use not in undone or (record.flat and _is_sharp(record)):
                _note_flatness(context, subject, record)
            _note_shape(context, subject, record, use, fed.get(subject, math.inf))
    note = context.note
    note.absent("no hidden layer ends in a ReLU", *names(quantities.RECTIFIERS))
    note.absent("no hidden layer ends in a bounded activation",
                *names(quantities.BOUNDED, quantities.SIGN))
    note.absent("no hidden activation has one row per sample", *names(quantities.VARIATION))


def _note_rectifier(
    context: ProbeContext, run: ShortRun, subject: str, record: ActivationRecord,
) -> None:
    note = context.note
    start = run.dead_at_start[subject]
    note.measure("dead_share", run.dead_at_end.get(subject, start), subject)
    note.measure("dead_share_at_start", start, subject)
    note.measure("dead_samples", run.dead_samples.get(subject, record.samples), subject)
    note.measure("rectifier_units", record.units, subject)


def _is_sharp(record: ActivationRecord) -> bool:
    """Tell whether few options of a softmax have most of the weight: sum of p^2 above one half."""
    return record.rms[-1] ** 2 > record.mean[-1] / 2


def _note_flatness(context: ProbeContext, subject: str, record: ActivationRecord) -> None:
    note = context.note
    if record.activation.saturates and record.flat:
        note.measure("flat_share", record.flat[-1], subject)
        note.measure("flat_share_at_start", record.flat[0], subject)
        note.measure("mean_slope", record.slope[-1], subject)


def _note_shape(
    context: ProbeContext, subject: str, record: ActivationRecord, use: ActivationUse, fed: float,
) -> None:
    note = context.note
    if record.activation.family == "bounded" and record.mean:
        note.measure("always_positive", use.activation.low >= 0, subject)
        ratio = record.mean[-1] / record.rms[-1] if record.rms[-1] else math.nan
        note.measure("mean_to_rms", ratio, subject)
    told_apart = not record.constant_input and fed > _TOLD_APART
    if record.variation and told_apart:
        note.measure("sample_variation", record.variation[-1], subject)
        note.measure("sample_variation_at_start", record.variation[0], subject)


def _note_depth(context: ProbeContext, run: ShortRun, rows: Sequence[DepthRow]) -> None:
    for row in rows:
        if not (math.isnan(row.gradient_decades) or math.isnan(row.lag_decades)):
            _note_way(context, row, f"the {row.below} layers behind it", through_time=False)
    for found in run.through_time:
        if found.plain and not math.isnan(found.decades):
            update = run.track.update_of(f"{found.layer}.")
            row = DepthRow(
                found.layer, found.length, found.decades, found.decades, update, 0.0)
            _note_way(context, row, f"{found.length} time steps", through_time=True)
    context.note.absent("no layer feeds another one directly", *names(quantities.DEPTH))


def _note_way(context: ProbeContext, row: DepthRow, way: str, *, through_time: bool) -> None:
    note = context.note
    note.measure("gradient_decades", row.gradient_decades, row.layer)
    note.measure("gradient_decades_elsewhere", row.elsewhere_decades, row.layer)
    note.measure("update_lag_decades", row.lag_decades, row.layer)
    note.measure("relative_update", row.update, row.layer)
    note.measure("gradient_decades_each", row.gradient_decades / max(row.below, 1), row.layer)
    note.measure("layers_below", row.below, row.layer)
    note.measure("gradient_way", way, row.layer)
    note.measure("through_time", through_time, row.layer)


def _note_growth(context: ProbeContext, run: ShortRun, rows: Sequence[DepthRow]) -> None:
    depth = {row.layer: row.growth_decades for row in rows}
    time = {found.layer: found.decades for found in run.through_time}
    spikes: dict[str, float] = {}
    for index, name in enumerate(run.track.names):
        layer = name.rpartition(".")[0] or name
        value = run.track.growth_decades(index)
        if not math.isnan(value):
            spikes[layer] = max(value, spikes.get(layer, -math.inf))
    for layer, spike in spikes.items():
        kinds = {
            "over the steps": spike,
            "towards the input": _or_zero(depth.get(layer)),
            "back in time": _or_zero(time.get(layer)),
        }
        worst = max(kinds, key=lambda kind: kinds[kind])
        context.note.measure("gradient_spike_decades", spike, layer)
        context.note.measure("depth_growth_decades", kinds["towards the input"], layer)
        context.note.measure("time_growth_decades", kinds["back in time"], layer)
        context.note.measure("gradient_growth", f"10^{kinds[worst]:.1f} {worst}", layer)
    if not spikes:
        context.note.absent("no parameter has a gradient", *names(quantities.GROWTH))
    norms = sorted(total for total in run.track.total_norms() if math.isfinite(total))
    if norms:
        context.note.measure("gradient_clip_norm", norms[int(0.9 * (len(norms) - 1))])


def _note_updates(context: ProbeContext, run: ShortRun) -> None:
    embeddings = {use.parameter for use in run.start.layers if use.layout == "lookup"}
    layers = {use.parameter for use in run.start.layers}
    weights = {
        name: index
        for index, (name, parameter) in enumerate(
            zip(run.track.names, run.track.parameters, strict=True))
        if parameter.dim() >= 2 and name not in embeddings
        and (name in layers or not _is_gain(parameter))
        and run.track.update_ratio(index, skip=2) > 0
    }
    grown = {name: _started_small(run, name) for name in weights}
    # Parameters that are no layer's weights (positions) may start at zero, too.
    settled = [name for name in weights if name in layers and not grown[name]] or list(weights)
    ratios = _ratios(run, weights, 2)
    shares = _shares(ratios, settled)
    # Behind a layer scale of 1e-6 a weight waits until the scale has grown.
    late = _shares(_ratios(run, weights, max(2, len(run.track.update_ratios) // 2)), settled)
    for name in weights:
        context.note.measure("update_ratio", ratios[name], name)
        context.note.measure("update_share", max(shares[name], late[name]), name)
        context.note.measure("grown_from_zero", grown[name], name)
    context.note.absent("no weight moved over several watched steps", *names(quantities.UPDATES))
    context.note.measure("loss_fall_sigmas", fall_in_sigmas(run.losses))
    context.note.measure("loss_peak_ratio", peak_over_first(run.losses))
    context.note.measure("first_update_cosine", run.direction.cosine)


def _ratios(run: ShortRun, weights: Mapping[str, int], skip: int) -> dict[str, float]:
    """Return the median update ratios from a step on; 0 for a weight without a gradient there."""
    found = {name: run.track.update_ratio(index, skip=skip) for name, index in weights.items()}
    return {name: 0.0 if math.isnan(ratio) else ratio for name, ratio in found.items()}


def _shares(ratios: Mapping[str, float], settled: Sequence[str]) -> dict[str, float]:
    """Return the ratios over the largest of the settled weights; 0 where none of these moves."""
    largest = max((ratios[name] for name in settled), default=0.0)
    return {name: ratio / largest if largest else 0.0 for name, ratio in ratios.items()}


def _is_gain(parameter: Tensor) -> bool:
    """Return whether it has one value per channel or head, in whatever shape it is multiplied."""
    return sum(size > 1 for size in parameter.shape) < 2


def _started_small(run: ShortRun, name: str) -> bool:
    use = next((use for use in run.start.layers if use.parameter == name), None)
    if use is not None:
        return use.weight_rms * math.sqrt(use.fan_in) < _NEAR_ZERO
    # Multiplied in a way that is not known, as by `einsum`: its rows are taken for the sums.
    index = run.track.names.index(name)
    inputs = run.track.parameters[index].shape[-1]
    return run.track.first_rms(index) * math.sqrt(inputs) < _NEAR_ZERO


def _or_zero(value: float | None) -> float:
    return value if value is not None and not math.isnan(value) else 0.0


def _note_linear(context: ProbeContext, run: ShortRun) -> None:
    for chain in linear_runs(run.start.layers):
        for layer in chain:
            context.note.measure("linear_layers", len(chain), layer)
            context.note.measure("linear_chain", ", ".join(chain), layer)
    in_chain = {layer for chain in linear_runs(run.start.layers) for layer in chain}
    for use in run.start.layers:
        if use.name not in in_chain and use.layout not in ("lookup", "opaque"):
            in_chain.add(use.name)
            context.note.measure("linear_layers", 1, use.name)
            context.note.measure("linear_chain", use.name, use.name)
    context.note.absent("no layer multiplies with a weight", *names(quantities.LINEAR))


def _note_finite(context: ProbeContext, run: ShortRun) -> None:
    note = context.note
    note.measure("loss_is_finite", not run.loss_broke)
    if run.fault_step >= 0:
        note.measure("fault_step", run.fault_step)
        note.measure("fault_origin", run.origin or "an operation that could not be found")
    for name in run.track.names if not run.loss_broke else ():
        note.measure("gradient_is_finite", name not in run.broken_gradients, name)
    note.absent("the loss is not finite, so no gradient can be",
                *names(quantities.GRADIENT_FINITE))


def _note_half(context: ProbeContext, run: ShortRun) -> None:
    for layer, row in run.half.rows.items():
        context.note.measure("overflow_share", row.overflow, layer)
        context.note.measure("underflow_share", row.underflow, layer)
    context.note.absent("nothing is computed in float16", *names(quantities.HALF))
