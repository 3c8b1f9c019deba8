"""Curves that stand in no series: measurements by layer, rows of tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

from auditor.observation import Json, Observation, Series
from auditor.report import Report

# Series -> its lines, each with the measurement by layer that it shows.
_BY_LAYER = {
    "flat_share_by_layer": (("start", "flat_share_at_start"), ("end", "flat_share")),
    "gradient_decades_by_layer": (("on the way back", "gradient_decades"),),
}
_UNITS = {"flat_share_by_layer": "share", "gradient_decades_by_layer": "decades"}


def with_derived(report: Report) -> Report:
    """Return the report with one more observation, which holds these curves."""
    series, tables = [*_batch_series(report)], {}
    for name, lines in _BY_LAYER.items():
        found = {label: by_layer(report, measurement) for label, measurement in lines}
        layers = list(dict.fromkeys(layer for values in found.values() for layer in values))
        if len(layers) > 1:
            series += _along(name, layers, found)
            tables[name.replace("by_layer", "layers")] = list[Json](layers)
    extra = Observation("derived", series=tuple(series), tables=tables)
    return replace(report, observations=(*report.observations, extra)) if series else report


def by_layer(report: Report, measurement: str) -> dict[str, float]:
    """Return a measurement of every layer that has it, in the order of the model."""
    found = {item.subject: float(item.value) for seen in report.observations
             for item in seen.measurements if item.name == measurement and item.subject
             and isinstance(item.value, (int, float))}
    known = [layer.path for layer in report.layers if layer.path in found]
    return {layer: found[layer] for layer in dict.fromkeys((*known, *found))}


def rows_of(report: Report, table: str) -> list[Mapping[str, Json]]:
    """Return the rows of a probe's table; none where no probe told it."""
    for seen in report.observations:
        rows = seen.tables.get(table)
        if isinstance(rows, list):
            return [row for row in rows if isinstance(row, Mapping)]
    return []


def numeric(value: Json) -> float:
    """Return a number of a table; NaN for anything else."""
    return float(value) if isinstance(value, (int, float)) else math.nan


def _along(
    name: str, layers: Iterable[str], found: Mapping[str, Mapping[str, float]],
) -> list[Series]:
    ordered = list(layers)
    places = tuple(float(position) for position in range(len(ordered)))
    return [Series(name, label, places, tuple(values.get(layer, math.nan) for layer in ordered),
                   "layer", _UNITS[name]) for label, values in found.items() if values]


def _batch_series(report: Report) -> list[Series]:
    rows = rows_of(report, "batch_sizes")
    sizes = tuple(numeric(row.get("batch_size")) for row in rows)
    found = []
    for name, column, unit in (("throughput_by_batch", "samples_per_second", "samples a second"),
                               ("memory_by_batch", "memory_mb", "MB")):
        values = tuple(numeric(row.get(column)) for row in rows)
        if len(rows) > 1 and any(value > 0 for value in values):
            found.append(Series(name, unit, sizes, values, "batch size", unit))
    return found
