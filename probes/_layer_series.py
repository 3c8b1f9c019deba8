"""The curves and tables of the probe `layers` for the reports."""

from __future__ import annotations

import math

from auditor.observation import Json, Series
from auditor.probe import Notebook

from ._shortrun import ShortRun
from ._weightscale import weighted

# Layers whose gradients and updates are shown step by step.
_FOLLOWED = 6


def note_series(note: Notebook, run: ShortRun) -> None:
    """Write loss by step, and activations, gradients and updates by layer."""
    note.series(_series("layer_loss", "loss", run.losses, "step", "loss"))
    records = run.statistics.records
    for label, at in (("first step", 0), ("last step", -1)):
        values = [record.rms[at] for record in records.values() if record.rms]
        note.series(_series("activation_std_by_layer", label, values, "layer", "rms"))
    note.table("activation_layers", list(records))
    _gradients(note, run)
    rectifiers = list(run.dead_at_start)
    if rectifiers:
        for label, shares in (("start", run.dead_at_start), ("end", run.dead_at_end)):
            values = [shares.get(subject, math.nan) for subject in rectifiers]
            note.series(_series("dead_share_by_layer", label, values, "layer", "share"))
        note.table("dead_share_layers", list[Json](rectifiers))
    note.table("activation_histograms", [
        {"layer": h.subject, "step": h.step, "edges": list[Json](h.edges),
         "counts": list[Json](h.counts)} for h in run.histograms
    ])


def _gradients(note: Notebook, run: ShortRun) -> None:
    index = {name: position for position, name in enumerate(run.track.names)}
    layers = [use for use in weighted(run.start.layers) if use.parameter in index]
    if not layers or not run.track.gradient_norms:
        return
    for label, at in (("first step", 0), ("last step", -1)):
        values = [run.track.gradient_rms(index[use.parameter], at) for use in layers]
        note.series(_series("gradient_rms_by_layer", label, values, "layer", "rms"))
    ratios = [run.track.update_ratio(index[use.parameter], skip=2) for use in layers]
    note.series(_series("update_ratio_by_layer", "median", ratios, "layer", "ratio"))
    note.table("weight_layers", [use.name for use in layers])
    _over_steps(note, run, [(use.name, index[use.parameter]) for use in layers])


def _over_steps(note: Notebook, run: ShortRun, layers: list[tuple[str, int]]) -> None:
    """Write gradients and updates by step for a few layers, the first and the last among them."""
    last = len(layers) - 1
    chosen = {round(i * last / (_FOLLOWED - 1)) for i in range(_FOLLOWED)}
    for name, at in (layers[i] for i in sorted(chosen)):
        values = [run.track.gradient_rms(at, step) for step in range(len(run.track.gradient_norms))]
        note.series(_series("gradient_rms_by_step", name, values, "step", "rms"))
        moved = [ratios[at] for ratios in run.track.update_ratios]
        note.series(_series("update_ratio_by_step", name, moved, "step", "ratio"))


def _series(name: str, label: str, values: list[float], x_unit: str, y_unit: str) -> Series:
    places = tuple(float(position) for position in range(len(values)))
    return Series(name, label, places, tuple(values), x_unit, y_unit)
