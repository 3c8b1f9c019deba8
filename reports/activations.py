"""The histograms of a model's activations, as ridges over its depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from auditor.observation import Json
from auditor.report import Report

from .derived import by_layer, numeric, rows_of
from .legends import limit_of
from .pictures import Picture
from .ridges import Histogram, Ridge, Ridges, shared_axis
from .wording import number, percent, prose

_MOST_RIDGES = 14
# Measured by layer -> what a share of it is called, and the limit beyond which it is a fault.
_SHARES = (("dead_share", "dead", "dying-relu.max_dead_share"),
           ("flat_share", "flat", "saturated-activation.max_flat_share"))
_QUANTILES = (0.05, 0.5, 0.95)


def activation_ridges(report: Report) -> Picture | None:
    """Return the ridges of the layers, evenly over the depth; None without histograms."""
    ridges = _ridges(report)
    if not ridges:
        return None
    drawn = _spread(ridges)
    remarks = (f"{len(drawn)} of {len(ridges)} activations are drawn.",)
    chart = Ridges(
        "where the outputs of the activations lie, first layer on top",
        "; ".join(ridge.told for ridge in drawn), "output of the activation",
        shared_axis(drawn), tuple(drawn))
    head = ("activation", "start: 5 %", "median", "95 %", "after the run: 5 %", "median", "95 %",
            "beside it")
    rows = tuple((ridge.name, *_quantiles(ridge.before), *_quantiles(ridge.after), ridge.says)
                 for ridge in ridges)
    return Picture(chart, remarks if len(drawn) < len(ridges) else (), head, rows)


def _ridges(report: Report) -> list[Ridge]:
    found: dict[str, list[Histogram]] = {}
    steps: dict[str, list[float]] = {}
    for row in rows_of(report, "activation_histograms"):
        histogram = _histogram(row)
        if histogram:
            name = str(row.get("layer"))
            found.setdefault(name, []).append(histogram)
            steps.setdefault(name, []).append(numeric(row.get("step")))
    shares = [(words, by_layer(report, name), limit_of(report, limit))
              for name, words, limit in _SHARES]
    return [_ridge(name, found[name], steps[name], shares) for name in found]


def _ridge(
    name: str, found: Sequence[Histogram], steps: Sequence[float],
    shares: Sequence[tuple[str, Mapping[str, float], float | None]],
) -> Ridge:
    before = found[0] if steps[0] == 0 else None
    after = found[-1] if len(found) > 1 or before is None else None
    told = [(words, values[name], limit) for words, values, limit in shares if name in values]
    says = ", ".join(f"{percent(share)} {words}" for words, share, _ in told)
    is_bad = any(limit is not None and share > limit for _, share, limit in told)
    return Ridge(prose(name), before, after, says, is_bad)


def _histogram(row: Mapping[str, Json]) -> Histogram | None:
    edges, counts = (tuple(numeric(v) for v in values) if isinstance(values, list) else ()
                     for values in (row.get("edges"), row.get("counts")))
    if len(edges) != len(counts) + 1 or not sum(counts) > 0 or not edges[0] < edges[-1]:
        return None
    return Histogram(edges, counts)


def _spread(ridges: Sequence[Ridge]) -> list[Ridge]:
    """Return as many as can be read, evenly over the depth; the bad ones come first."""
    if len(ridges) <= _MOST_RIDGES:
        return list(ridges)
    last, bad = len(ridges) - 1, [i for i, ridge in enumerate(ridges) if ridge.is_bad]
    kept = {0, last, *bad[:_MOST_RIDGES // 2]}
    for i in range(_MOST_RIDGES):
        if len(kept) < _MOST_RIDGES:
            kept.add(round(i * last / (_MOST_RIDGES - 1)))
    return [ridges[i] for i in sorted(kept)]


def _quantiles(found: Histogram | None) -> tuple[str, ...]:
    return tuple(number(found.quantile(share)) if found else "" for share in _QUANTILES)
