"""The layers of the model in call order, each with its health and what was measured of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from auditor.finding import SEVERITIES, Finding
from auditor.observation import Series
from auditor.report import Layer, Report

from .derived import by_layer
from .pictures import places_of
from .wording import big, number, percent, prose, where

# Columns that are there only if a layer has a value: head, series by layer and its line.
_BY_DEPTH = (
    ("output rms", "activation_std_by_layer", "last step"),
    ("gradient rms", "gradient_rms_by_layer", "first step"),
    ("step / weight", "update_ratio_by_layer", "median"),
)
_SHARES = (("dead", "dead_share"), ("flat", "flat_share"))


@dataclass(frozen=True, slots=True)
class MapRow:
    """One layer.

    Attributes:
        path: Its name.
        kind: Class or function.
        parameters: Their number.
        place: Line of the file.
        values: What was measured, one for each of the map's heads.
        findings: That are about it, the most severe first.
        health: "error", "warning", "info" or "" for none.
        says: The layer in words, for the strip.
    """

    path: str
    kind: str
    parameters: str
    place: str
    values: tuple[str, ...]
    findings: tuple[Finding, ...]
    health: str
    says: str


@dataclass(frozen=True, slots=True)
class ModelMap:
    """All layers.

    Attributes:
        heads: Of the measured columns.
        rows: One for each layer.
    """

    heads: tuple[str, ...]
    rows: tuple[MapRow, ...]


def map_of(report: Report) -> ModelMap:
    """Return the model map; without rows where the layers are not known."""
    columns = {head: values for head, values in _columns(report).items()
               if any(layer.path in values for layer in report.layers)}
    hits: dict[str, list[Finding]] = {}
    for finding in report.findings:
        for layer in finding.layers:
            hits.setdefault(layer, []).append(finding)
    # A finding about a parameter stands with the layer that holds it.
    paths = {layer.path for layer in report.layers}
    for name in [name for name in hits if name not in paths]:
        hits.setdefault(name.rpartition(".")[0], []).extend(hits[name])
    rows = tuple(_row(layer, columns, hits.get(layer.path, [])) for layer in report.layers)
    return ModelMap(tuple(columns), rows)


def _columns(report: Report) -> dict[str, Mapping[str, str]]:
    columns: dict[str, Mapping[str, str]] = {}
    for head, name, label in _BY_DEPTH:
        series = next((one for seen in report.observations for one in seen.series
                       if one.name == name and one.label == label), None)
        columns[head] = _values(report, series) if series else {}
    for head, name in _SHARES:
        columns[head] = {layer: percent(v) for layer, v in by_layer(report, name).items()}
    return columns


def _values(report: Report, series: Series) -> dict[str, str]:
    places = places_of(report, series)
    return {places[x]: number(y) for x, y in zip(series.x, series.y, strict=False) if x in places}


def _row(layer: Layer, columns: Mapping[str, Mapping[str, str]], hits: list[Finding]) -> MapRow:
    once = {finding.rule: finding for finding in hits}.values()
    findings = tuple(sorted(once, key=lambda f: SEVERITIES.index(f.severity)))
    health = findings[0].severity if findings else ""
    path, kind = prose(layer.path), prose(layer.kind)
    values = {head: found.get(layer.path, "") for head, found in columns.items()}
    told = [f"{head} {value}" for head, value in values.items() if value]
    says = "; ".join([f"{path} ({kind})", *told, *(f"{f.severity}: {f.rule}" for f in findings)])
    return MapRow(path, kind, big(layer.parameters) if layer.parameters else "",
                  where(layer.place), tuple(values.values()), findings, health, says)
