"""What the data probe tells the reports: where the features lie, and how often each class comes."""

from __future__ import annotations

import torch
from torch import Tensor

from auditor.observation import Json

from ._firstlook import FirstLook

_MOST_LAYERS, _MOST_FEATURES, _MOST_CLASSES = 3, 40, 200


def feature_table(look: FirstLook) -> list[Json]:
    """Return minimum, maximum, mean and standard deviation of the features that layers receive.

    Of a layer with many features those with the largest and the smallest scale are told.
    """
    rows: list[Json] = []
    for layer, got in list(look.received.layers.items())[:_MOST_LAYERS]:
        values = torch.cat(got.rows)
        values = values[torch.isfinite(values).all(dim=1)]
        if not values.numel():
            continue
        stds, means = torch.std_mean(values, dim=0, unbiased=False)
        for index in _told((means.square() + stds.square()).sqrt()):
            column = values[:, index]
            rows.append({
                "layer": layer, "feature": f"{'channel' if got.channels else 'column'} {index}",
                "min": float(column.min()), "max": float(column.max()),
                "mean": float(means[index]), "std": float(stds[index]),
            })
    return rows


def label_table(labels: Tensor, val: Tensor | None) -> list[Json]:
    """Return how many of the samples read belong to each class, the most frequent first."""
    train, held = _counts(labels), _counts(val) if val is not None else {}
    classes = sorted({*train, *held}, key=lambda name: (-train.get(name, 0), name))
    return [{"class": name, "training": train.get(name, 0), "validation": held.get(name, 0)}
            for name in classes[:_MOST_CLASSES]]


def _told(sizes: Tensor) -> list[int]:
    order: list[int] = sizes.argsort().tolist()
    half = _MOST_FEATURES // 2
    return sorted(order if len(order) <= _MOST_FEATURES else order[:half] + order[-half:])


def _counts(labels: Tensor) -> dict[int, int]:
    names, counts = torch.unique(labels, return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))
