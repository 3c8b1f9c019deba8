"""The scale of weights and biases against what their fan-in and activation ask for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from torch import nn

from auditor.layergraph import ActivationUse, LayerUse
from auditor.spread import rms_of

# Xavier keeps the variance of what a tanh or a sigmoid takes in; only rectifiers need a gain.
_ONE_SIDED_GAIN = 2.0**0.5
_NOT_MULTIPLIED = ("lookup", "opaque")
# A spread over samples below this part of the values is rounding.
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Scale:
    """One layer of one initialisation.

    Attributes:
        asked_std: sqrt(gain^2 / fan_in), what He or Xavier would draw.
        decades: log10 of rms(w) over that; minus infinity for zero weights.
        mean, std: Of the weights.
        bias_rms: 0 without a bias.
        bias_to_signal: rms(b) over the spread of the pre-activation over samples.
        bias_to_weights: rms(b) over rms(w) sqrt(fan_in), the output for inputs of unit size.
        bias_to_default: rms(b) over 1 / sqrt(3 fan_in), that of PyTorch's own initialisation.
        predicted_rms: sqrt(fan_in E[w^2] E[x^2] + E[b^2]).
    """

    asked_std: float
    decades: float
    mean: float
    std: float
    bias_rms: float
    bias_to_signal: float
    bias_to_weights: float
    bias_to_default: float
    predicted_rms: float


@dataclass(frozen=True, slots=True)
class Stretch:
    """Layers that feed each other with neither a normalisation nor a join between.

    Attributes:
        layers: From the input side; the model's output layer is the last one if it ends there.
        hidden: Those before the output; none where no activation stands behind any of them, as in
            the linear branch of a wide and deep model. Where it ends in a residual sum or
            concatenation, those up to what the other side carries on.
        signal_decades: log10 of the spread after the last hidden layer over that of the input.
        weight_decades: Sum of the hidden layers' `Scale.decades`.
        peak_decades: log10 of the largest spread on the way over that of the input.
        total_decades: Sum of all layers' `Scale.decades`.
        large: Layers whose weights are clearly larger than asked for.
    """

    layers: tuple[LayerUse, ...]
    hidden: tuple[LayerUse, ...]
    signal_decades: float
    weight_decades: float
    peak_decades: float
    total_decades: float
    large: int


def weighted(layers: Sequence[LayerUse]) -> list[LayerUse]:
    """Return the first use of every layer that multiplies with a trainable weight."""
    first: dict[str, LayerUse] = {}
    for use in layers:
        if use.layout not in _NOT_MULTIPLIED and use.trainable and use.weight.numel() > 1:
            first.setdefault(use.name, use)
    return list(first.values())


def recurrent(model: nn.Module) -> list[LayerUse]:
    """Return the matrices of recurrent modules, each as a layer that is tied to no other one.

    A fused recurrence hides what goes in and out of them, but not their scale.
    """
    return [
        LayerUse(f"{path}.{name}" if path else name, -1, "recurrent", weight.detach(),
                 parameter=f"{path}.{name}" if path else name, module=module,
                 fan_in=weight.shape[1], weight_rms=rms_of(weight.detach()))
        for path, module in model.named_modules()
        if isinstance(module, (nn.RNNBase, nn.RNNCellBase))
        for name, weight in module.named_parameters(recurse=False)
        if weight.dim() == 2 and weight.requires_grad
    ]


def scale_of(use: LayerUse) -> Scale:
    """Compare a layer's weights and bias with what its fan-in and its activation ask for."""
    rms, mean = use.weight_rms, float(use.weight.float().mean())
    bias = rms_of(use.bias) if use.bias is not None and use.bias.numel() else 0.0
    asked = gain_of(use.activation_after) / math.sqrt(use.fan_in)
    unit = rms * math.sqrt(use.fan_in)
    return Scale(
        asked_std=asked,
        decades=_log(rms, asked),
        mean=mean,
        std=math.sqrt(max(rms**2 - mean**2, 0.0)),
        bias_rms=bias,
        bias_to_signal=bias / use.y_spread if use.y_spread > _ROUNDING * use.y_rms else math.nan,
        bias_to_weights=bias / unit if unit else math.nan,
        bias_to_default=bias * math.sqrt(3 * use.fan_in),
        predicted_rms=math.hypot(unit * use.x_rms, bias),
    )


def gain_of(call: ActivationUse | None) -> float:
    """Return sqrt(2) for rectifiers and their smooth relatives, 1 for all others."""
    if call is None or call.gates or call.activation.name == "selu":
        return 1.0
    return _ONE_SIDED_GAIN if call.activation.family in ("rectifier", "smooth") else 1.0


def stretches(layers: Sequence[LayerUse], scales: dict[str, Scale]) -> list[Stretch]:
    """Return every stretch of at least one weighted layer, from its first to its last layer."""
    known = {id(use) for use in layers}
    found = []
    for last in layers:
        if any(id(after) in known for after in last.after):
            continue
        path = [last]
        while path[-1].before is not None and id(path[-1].before) in known:
            path.append(path[-1].before)
        if not any(use.rescaled or _weighs(use) for use in path):
            found.append(_measured(tuple(reversed(path)), scales))
    return found


def _weighs(use: LayerUse) -> bool:
    """Tell whether a layer feeds a softmax: small scores are equal attention, no lost signal."""
    call = use.activation_after
    return call is not None and call.activation.family == "softmax"


def gap_to_others(name: str, scales: dict[str, Scale]) -> tuple[float, float]:
    """Return how far a layer's scale is from the others' median, and how far those are off.

    Both in decades; NaN when there are no other layers. Zero-initialised ones do not count.
    """
    others = [s.decades for other, s in scales.items() if other != name and s.decades > -math.inf]
    if not others:
        return math.nan, math.nan
    return scales[name].decades - median(others), median(abs(value) for value in others)


def _measured(path: tuple[LayerUse, ...], scales: dict[str, Scale]) -> Stretch:
    last = path[-1]
    hidden = path[:-1] if last.ends == "output" else path
    if last.ends == "residual":
        hidden = path[: path.index(last.carried) + 1] if last.carried in path else ()
    if not any(use.activation_after or use.taken_by for use in hidden):
        hidden = ()
    decades = [scales[use.name].decades for use in path]
    begin = path[0].x_spread
    return Stretch(
        layers=path,
        hidden=hidden,
        signal_decades=_log(hidden[-1].y_spread, begin) if hidden else math.nan,
        weight_decades=sum(decades[: len(hidden)]),
        peak_decades=max(_log(use.y_spread, begin) for use in path),
        total_decades=sum(decades),
        large=sum(value > _CLEARLY for value in decades),
    )


# A factor of two over He or Xavier.
_CLEARLY = 0.3


def _log(value: float, reference: float) -> float:
    if not (math.isfinite(value) and math.isfinite(reference)) or reference <= 0:
        return math.nan
    return math.log10(value / reference) if value > 0 else -math.inf
