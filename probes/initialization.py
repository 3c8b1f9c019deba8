"""Several fresh initialisations on real batches: scale by depth, biases, copies among units."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median, pstdev

from torch import nn

from auditor import batches as batch_tools
from auditor.isolation import seeded
from auditor.layergraph import LayerGraph, LayerUse
from auditor.observation import Quantity, Series
from auditor.probe import Cost, NotApplicable, ProbeContext
from auditor.recorder import watching
from auditor.trial import Bench, Changes

from ._symmetry import Units, partings, units_of
from ._weightscale import (
    Scale,
    Stretch,
    gap_to_others,
    recurrent,
    scale_of,
    stretches,
    weighted,
)

_SEEDS = 3
_SYMMETRY_STEPS = 5
_LARGEST = 1 << 26
# Copies differ by rounding only.
_COPIES = 1e-6


def _layer(name: str, unit: str, says: str, kind: str = "number") -> Quantity:
    return Quantity(name, unit, says, "layer", kind)  # type: ignore[arg-type]


_SYMMETRY = (
    _layer("unit_spread", "ratio", "differences between the units' weights over the weights' rms"),
    _layer("unit_separation", "ratio",
           "differences between the units' movements over the movements' rms, after a few steps"),
    _layer("hidden_copies", "", "the units are copies, and another layer reads nothing but them",
           "flag"),
)
_STRETCH = (
    _layer("signal_decades", "decades",
           "spread over samples after the last hidden layer of the stretch over that of its input"),
    _layer("weight_decades", "decades",
           "what the hidden weights of the stretch are off the fitting scale, added up"),
    _layer("weight_part", "share", "part of the signal's loss that the weights make"),
    _layer("hidden_layers", "", "hidden layers in the stretch"),
    _layer("beside_others", "", "the stretch ends in a sum with a branch of other layers or data",
           "flag"),
    _layer("peak_decades", "decades",
           "largest spread over samples in the stretch over that of its input"),
    _layer("stretch_weight_decades", "decades",
           "what all weights of the stretch are off the fitting scale, added up"),
    _layer("large_layers", "", "layers of the stretch with weights twice as large as fitting"),
)
_SCALE = (
    _layer("weight_scale_decades", "decades", "rms of the weights over the fitting std"),
    _layer("weight_std", "", "standard deviation of the weights"),
    _layer("weight_mean", "", "mean of the weights"),
    _layer("asked_std", "", "std that He or Xavier initialisation asks for"),
    _layer("fitting_init", "", "call that draws the fitting initialisation", "text"),
)
_GAP = (
    _layer("scale_gap_decades", "decades", "the layer's weight scale over the other layers'"),
    _layer("others_scale_decades", "decades", "how far the other layers are off the fitting scale"),
    _layer("scale_counts", "", "no normalisation or shared embedding takes the scale away", "flag"),
    _layer("feeds_layer", "", "another layer reads the output with nothing joined to it", "flag"),
)
_BIAS = (
    _layer("bias_to_signal", "ratio", "rms of the biases over the pre-activation's spread"),
    _layer("bias_to_weights", "ratio",
           "rms of the biases over what the weights make of inputs of unit size"),
    _layer("bias_to_default", "ratio",
           "rms of the biases over that of PyTorch's own draw for this fan-in"),
    _layer("bias_rms", "", "rms of the biases"),
)
_THEORY = (
    _layer("forward_over_theory", "ratio", "measured rms of the output over fan-in theory"),
)


@dataclass(frozen=True)
class _Draw:
    """One initialisation."""

    layers: list[LayerUse]
    scales: dict[str, Scale]
    stretches: list[Stretch]
    tied: set[str]


class Initialization:
    """Draws several initialisations and follows the signal through each."""

    name = "initialization"
    says = "follows the signal through several fresh initialisations"
    cost = Cost(steps=_SEEDS * 2 + _SYMMETRY_STEPS, minimum_steps=2, trains=True)
    yields = (*_SYMMETRY, *_STRETCH, *_SCALE, *_GAP, *_BIAS, *_THEORY)
    after: tuple[str, ...] = ()

    def run(self, context: ProbeContext) -> None:
        """Measure.

        Raises:
            NotApplicable: The weights are pretrained, or no layer has weights.
        """
        if "from_pretrained" in context.target.traits:
            raise NotApplicable("the weights are pretrained")
        wanted = _SEEDS if context.target.reinitialises else 1
        count = min(wanted, context.affordable_steps(2 * wanted, minimum=2) // 2)
        if not (context.target.reinitialises or context.target.notes):
            context.note.note("One initialisation was seen: the target makes it again and again.")
        draws = [_draw(context, context.seed + number) for number in range(max(count, 1))]
        if not any(draw.layers or draw.tied for draw in draws):
            raise NotApplicable("no layer multiplies with a trainable weight")
        context.note.steps = 2 * len(draws)
        _note_scales(context, draws)
        _note_stretches(context, draws)
        _note_charts(context, draws[0])
        _note_symmetry(context, draws[0].layers)


def _draw(context: ProbeContext, seed: int) -> _Draw:
    batch = batch_tools.private(context.batches.train(1)[0])
    with seeded(seed):
        bench = Bench(context.target)
        graph = LayerGraph(bench.model)
        with watching(bench.model, graph):
            loss = bench.loss(batch).loss
        graph.connect(loss)
    layers = weighted(graph.layers)
    matrices = recurrent(bench.model)
    scales = {use.name: scale_of(use) for use in [*layers, *matrices]}
    drawn = _Draw([*layers, *matrices], scales, stretches(layers, scales), _embedded(bench.model))
    for use in [*graph.layers, *matrices]:
        use.let_go()
    return drawn


def _note_scales(context: ProbeContext, draws: Sequence[_Draw]) -> None:
    last = draws[-1]
    for use in last.layers:
        scales = [draw.scales[use.name] for draw in draws if use.name in draw.scales]
        if any(scale.decades == -math.inf for scale in scales):
            continue
        _note_scale(context, use, scales)
        gaps = [gap_to_others(use.name, draw.scales) for draw in draws if use.name in draw.scales]
        if math.isfinite(gaps[0][0]):
            _measure(context, "scale_gap_decades", use, [gap for gap, _ in gaps])
            _measure(context, "others_scale_decades", use, [off for _, off in gaps])
            free = (use.ends != "normalisation" and not use.rescaled
                    and use.parameter not in last.tied)
            context.note.measure("scale_counts", free, use.name)
            context.note.measure("feeds_layer", bool(use.after), use.name)
        call = use.activation_after or use.taken_by
        if use.bias is not None and call is not None and not call.gates:
            for name in _names(_BIAS):
                _measure(context, name, use, [getattr(scale, name) for scale in scales])
    context.note.absent("no layer starts with random weights", *_names(_SCALE, _THEORY))
    context.note.absent("there are no two layers to compare", *_names(_GAP))
    context.note.absent("no hidden layer has a bias", *_names(_BIAS))


def _note_scale(context: ProbeContext, use: LayerUse, scales: Sequence[Scale]) -> None:
    _measure(context, "weight_scale_decades", use, [scale.decades for scale in scales])
    _measure(context, "weight_std", use, [scale.std for scale in scales])
    _measure(context, "weight_mean", use, [scale.mean for scale in scales])
    context.note.measure("asked_std", scales[0].asked_std, use.name)
    context.note.measure("fitting_init", _fitting_init(use), use.name)
    predicted = scales[-1].predicted_rms
    if predicted > 0 and math.isfinite(use.y_rms):
        context.note.measure("forward_over_theory", use.y_rms / predicted, use.name)


def _note_stretches(context: ProbeContext, draws: Sequence[_Draw]) -> None:
    for use in draws[-1].layers:
        shrink = [_worst(draw, use.name, lambda s: s.weight_decades, min) for draw in draws]
        grow = [_worst(draw, use.name, lambda s: s.total_decades, max) for draw in draws]
        hidden = [s for s in shrink if s and use.name in {layer.name for layer in s.hidden}]
        if hidden and all(math.isfinite(s.signal_decades) for s in hidden):
            _measure(context, "signal_decades", use, [s.signal_decades for s in hidden])
            _measure(context, "weight_decades", use, [s.weight_decades for s in hidden])
            context.note.measure("weight_part", _part(hidden), use.name)
            context.note.measure("hidden_layers", len(hidden[0].hidden), use.name)
            summed = all(s.layers[-1].ends == "sum" for s in hidden)
            context.note.measure("beside_others", summed, use.name)
        large = [s for s in grow if s and math.isfinite(s.peak_decades)]
        if large:
            _measure(context, "peak_decades", use, [s.peak_decades for s in large])
            _measure(context, "stretch_weight_decades", use, [s.total_decades for s in large])
            context.note.measure("large_layers", min(s.large for s in large), use.name)
    context.note.absent("no stretch of layers starts with random weights", *_names(_STRETCH))


def _worst(
    draw: _Draw, name: str, key: Callable[[Stretch], float],
    choose: Callable[..., Stretch],
) -> Stretch | None:
    """Return the stretch through a layer that is worst by `key`; none that holds zero weights."""
    found = [s for s in draw.stretches if math.isfinite(s.total_decades)
             and name in {layer.name for layer in s.layers}]
    return choose(found, key=key) if found else None


def _note_symmetry(context: ProbeContext, layers: Sequence[LayerUse]) -> None:
    names = _names(_SYMMETRY)
    steps = context.affordable_steps(_SYMMETRY_STEPS)
    with seeded(context.seed):
        # Dropout would part the units by chance, not by what they compute.
        bench = Bench(context.target, Changes(dropout=0.0))
        found = partings(bench, _units(context, bench), context.batches.cycled(steps, of=steps))
    context.note.steps += steps
    # Each unit of a grouped convolution has an input of its own.
    hidden = {use.parameter for use in layers if use.after and not use.grouped}
    for parting in found:
        copies = parting.spread < _COPIES and parting.parameter in hidden
        context.note.measure("hidden_copies", copies, parting.layer)
        context.note.measure("unit_spread", parting.spread, parting.layer)
        context.note.measure("unit_separation", parting.separation, parting.layer)
    context.note.absent("no layer has several units", *names)


def _units(context: ProbeContext, bench: Bench) -> list[Units]:
    graph = LayerGraph(bench.model, sizes=False)
    with watching(bench.model, graph):
        bench.loss(batch_tools.private(context.batches.train(1)[0]))
    units = units_of(bench.model, graph.layers)
    graph.let_go()
    return [unit for unit in units if unit.parameter.numel() <= _LARGEST]


def _note_charts(context: ProbeContext, draw: _Draw) -> None:
    shown = [use for use in draw.layers if math.isfinite(use.y_rms)]
    depth = tuple(float(position) for position in range(len(shown)))
    for label, values in (
        ("measured", [use.y_rms for use in shown]),
        ("theory", [draw.scales[use.name].predicted_rms for use in shown]),
    ):
        context.note.series(Series("initialization_forward", label, depth, tuple(values), "layer",
                                   "rms of the output"))
    context.note.table("initialization_layers", [use.name for use in shown])


def _embedded(model: nn.Module) -> set[str]:
    """Return the weights that also serve as an embedding, whose scale is its own affair."""
    owners: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        owners.setdefault(id(parameter), []).append(name)
    modules = dict(model.named_modules())
    return {
        name for names in owners.values() for name in names
        if any(hasattr(modules.get(other.rpartition(".")[0]), "num_embeddings") for other in names)
    }


def _fitting_init(use: LayerUse) -> str:
    weight = f"model.{use.parameter or use.name + '.weight'}"
    call = use.activation_after
    if call is not None and call.activation.family in ("rectifier", "smooth"):
        return f'nn.init.kaiming_normal_({weight}, nonlinearity="relu")'
    return f"nn.init.xavier_normal_({weight})"


def _measure(
    context: ProbeContext, name: str, use: LayerUse, values: Sequence[float],
) -> None:
    finite = [value for value in values if not math.isnan(value)]
    if finite:
        spread = pstdev(finite) if len(finite) > 1 and all(map(math.isfinite, finite)) else None
        context.note.measure(name, median(finite), use.name, spread=spread, samples=len(finite))


def _names(*groups: Iterable[Quantity]) -> tuple[str, ...]:
    return tuple(quantity.name for group in groups for quantity in group)


def _part(stretches: Sequence[Stretch]) -> float:
    """Return the weights' part of the decades that the signal loses; 1 where it loses none."""
    signal = sum(stretch.signal_decades for stretch in stretches)
    weights = sum(stretch.weight_decades for stretch in stretches)
    return weights / signal if signal < 0 else 1.0
