"""Gradients and updates by depth, and layers between which nothing bends."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from auditor.layergraph import LayerUse
from auditor.parametertrack import ParameterTrack

from ._weightscale import weighted

_SKIP = 2
# Layers in a row that no design has on purpose, whatever is normalised between.
_LONG = 3


@dataclass(frozen=True, slots=True)
class DepthRow:
    """One layer inside its stretch (no normalisation and no join between).

    Attributes:
        layer: Name.
        below: Layers of the stretch that follow it.
        gradient_decades: log10 of the gradient's norm at this layer's output over that at the
            output of the stretch's last layer.
        elsewhere_decades: The same without the one layer at which it shrinks most.
        update: Median rms(update) / rms(weight) over the watched steps.
        lag_decades: log10 of `update` over the largest one of the layers that follow.
        growth_decades: As `gradient_decades`, as far as each layer alone reads the one before: what
            comes back on other ways beside it, as past the queries of an attention, is no growth.
    """

    layer: str
    below: int
    gradient_decades: float
    elsewhere_decades: float
    update: float
    lag_decades: float
    growth_decades: float = 0.0


def depth_rows(
    layers: Sequence[LayerUse], deltas: Mapping[str, float], track: ParameterTrack,
) -> list[DepthRow]:
    """Return a row for every weighted layer that feeds others.

    Args:
        layers: Of the first pass.
        deltas: Layer -> norm of the loss's gradient at its output.
        track: With the updates.
    """
    index = {name: position for position, name in enumerate(track.names)}
    rows = []
    for use in weighted(layers):
        path = _following(use)
        if len(path) < 2:
            continue
        updates = [track.update_ratio(index[u.parameter], skip=_SKIP) if u.parameter in index
                   else math.nan for u in path]
        later = [value for value in updates[1:] if math.isfinite(value)]
        norms = [deltas.get(u.name, math.nan) for u in path]
        whole = _decades(norms[0], norms[-1])
        steps = [step for step in map(_decades, norms, norms[1:]) if not math.isnan(step)]
        worst = min(steps, default=0.0)
        # A gradient of zero is lost altogether, wherever that was.
        elsewhere = whole - worst if math.isfinite(whole) else whole
        rows.append(DepthRow(
            use.name, len(path) - 1, whole, elsewhere, updates[0],
            _decades(updates[0], max(later, default=math.nan)),
            _decades(norms[0], norms[_alone(path)]),
        ))
    return rows


def linear_runs(layers: Sequence[LayerUse]) -> list[list[str]]:
    """Return chains of layers with nothing but changes of shape between, that do not narrow.

    A narrow middle (low rank), grouped and one-dimensional convolutions are factorisations;
    a transposed convolution enlarges the picture for the layer behind it. Two layers with a batch
    normalisation between may be meant so (linear bottlenecks), three are not.
    """
    direct = _chains(layers, lambda use: use.before if use.bare and use.only_reader else None,
                     lambda first: first.fan_in)
    long = [chain for chain in _chains(layers, lambda use: use.linear_before, _inputs)
            if len(chain) >= _LONG]
    known = {use for chain in long for use in chain}
    return [[use.name for use in chain]
            for chain in [*long, *(chain for chain in direct if known.isdisjoint(chain))]]


def _chains(
    layers: Sequence[LayerUse], feeds: Callable[[LayerUse], LayerUse | None],
    taken: Callable[[LayerUse], int],
) -> list[list[LayerUse]]:
    chains: list[list[LayerUse]] = []
    for use in weighted(layers):
        before = feeds(use)
        if before is None or not _wastes(before, use, taken(before)):
            continue
        chain = next((c for c in chains if c[-1] is before), None)
        if chain is None:
            chains.append([before, use])
        else:
            chain.append(use)
    return chains


def fed_variation(layers: Sequence[LayerUse]) -> dict[str, float]:
    """Return how far samples differ where an activation's stretch begins, by its subject.

    Spread over samples over the rms, of what the first layer takes in. A stretch that is fed one
    and the same token (a class token behind a small residual scale) has nothing to lose.
    """
    found: dict[str, float] = {}
    for use in layers:
        first = use.before
        while first is not None and first.before is not None:
            first = first.before
        if first is None or not first.x_rms > 0:
            continue
        for call in use.activations:
            found[call.subject] = first.x_spread / first.x_rms
    return found


def _following(use: LayerUse) -> list[LayerUse]:
    """Return the longest way from a layer to the end of its stretch."""
    path = [use]
    while path[-1].after:
        path.append(max(path[-1].after, key=lambda after: len(after.after)))
    return path


def _alone(path: Sequence[LayerUse]) -> int:
    """Return how far down a path each layer is the only one that the one before feeds."""
    position = 0
    while (position + 1 < len(path) and len(path[position].after) == 1
           and path[position + 1].only_reader):
        position += 1
    return position


def _wastes(first: LayerUse, second: LayerUse, inputs: int) -> bool:
    """Tell whether two layers in a row do no more than one, which takes in so many values."""
    if "lookup" in (first.layout, second.layout) or "opaque" in (first.layout, second.layout):
        return False
    if first.layout == "transposed":
        return False
    if first.grouped or second.grouped or _is_factor(first) or _is_factor(second):
        return False
    if not (first.trainable and second.trainable):
        return False
    return _units(first) >= min(inputs, _units(second))


def _is_factor(use: LayerUse) -> bool:
    """Tell whether a convolution runs along some of its dimensions only (3x1 before 1x3)."""
    kernel = tuple(use.weight.shape[2:])
    return len(set(kernel)) > 1 and 1 in kernel


def _units(use: LayerUse) -> int:
    return use.weight.shape[0 if use.layout == "out-in" else 1]


def _inputs(use: LayerUse) -> int:
    """Return the channels that a layer takes in."""
    return use.weight.shape[1 if use.layout == "out-in" else 0]


def _decades(value: float, reference: float) -> float:
    if not (math.isfinite(value) and math.isfinite(reference)) or reference <= 0:
        return math.nan
    return math.log10(value / reference) if value > 0 else -math.inf
