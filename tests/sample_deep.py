"""A report of a model with 600 layers, for what has to stay readable and small at that depth."""

from __future__ import annotations

import math
from dataclasses import replace

from sample_reports import failing

from auditor.observation import Measurement, Observation, Place, Series
from auditor.report import Layer, Report

LAYERS = 600


def deep() -> Report:
    """Return the broken report as if its model had 600 layers, all of them measured."""
    broken = failing()
    paths = [f"blocks.{i // 2}.{('linear', 'norm')[i % 2]}" for i in range(LAYERS)]
    layers = tuple(Layer(path, "Linear" if i % 2 == 0 else "LayerNorm", 16640, Place("deep.py", 9))
                   for i, path in enumerate(paths))
    kept = tuple(seen for seen in broken.observations if seen.probe != "layers")
    return replace(
        broken,
        target={**broken.target, "file": "deep.py", "model": "Deep", "parameters": 9_984_000},
        layers=layers, observations=(*kept, _observation(paths)),
    )


def _observation(paths: list[str]) -> Observation:
    depth = tuple(float(i) for i in range(LAYERS))
    edges = [round(-2 + i * 0.1, 2) for i in range(41)]
    counts = [round(1000 * math.exp(-(((i - 20) / 7) ** 2))) for i in range(40)]
    return Observation(
        "layers", seconds=9.5, steps=45,
        measurements=tuple(Measurement("dead_share", i / LAYERS, path)
                           for i, path in enumerate(paths)),
        series=(
            _by_depth("gradient_rms_by_layer", "first step", depth, 0.98, "rms"),
            _by_depth("activation_std_by_layer", "first step", depth, 0.99, "rms"),
            Series("dead_share_by_layer", "end", depth,
                   tuple(round(i / LAYERS, 4) for i in range(LAYERS)), "layer", "share"),
        ),
        tables={
            "activation_layers": list(paths), "weight_layers": list(paths),
            "dead_share_layers": list(paths),
            "activation_histograms": [
                {"layer": path, "step": 0, "edges": list(edges), "counts": list(counts)}
                for path in paths],
        },
    )


def _by_depth(
    name: str, label: str, depth: tuple[float, ...], factor: float, unit: str,
) -> Series:
    return Series(name, label, depth, tuple(factor**x for x in depth), "layer", unit)
