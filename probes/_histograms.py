"""Histograms of the samples of many layers, without a transfer for each of them."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

_BINS = 40


def histograms(samples: Mapping[str, Tensor]) -> dict[str, tuple[list[float], list[float]]]:
    """Return edges and counts for each sample whose values are all finite.

    Args:
        samples: Name -> (V,) values.
    """
    if not samples:
        return {}
    ranges = torch.stack([torch.stack(torch.aminmax(values)) for values in samples.values()])
    found: dict[str, tuple[float, float]] = {}
    counts: list[Tensor] = []
    for (name, values), (low, high) in zip(samples.items(), ranges.tolist(), strict=True):
        if not (math.isfinite(low) and math.isfinite(high)):
            continue
        found[name] = (low, high) if low < high else (low - 0.5, high + 0.5)
        counts.append(torch.histc(values, _BINS, *found[name]))
    if not found:
        return {}
    rows = torch.stack(counts).tolist()
    return {name: (torch.linspace(*limits, _BINS + 1).tolist(), row)
            for (name, limits), row in zip(found.items(), rows, strict=True)}
