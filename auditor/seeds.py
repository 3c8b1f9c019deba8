"""Several audits of one target under different seeds, as one."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import replace

from auditor.observation import Measurement, Observation, Scalar
from auditor.report import Report


def merged(reports: Sequence[Report]) -> Report:
    """Return the first report with the median of every measurement over all of them.

    A number gets the standard deviation over the seeds as its spread, unless a larger one was
    measured inside a run. What fewer than half of the runs measured is left as the first run has
    it. Curves, tables and places are those of the first run.
    """
    first, *others = reports
    if not others:
        return first
    observations = tuple(
        _of_probe([seen, *(match for other in others if (match := _same(other, seen)))])
        for seen in first.observations
    )
    note = (f"Every number is the median over {len(reports)} seeds, from "
            f"{first.environment.get('seed')} on.")
    times = {name: round(sum(_seconds(report, name) for report in reports), 2)
             for name in ("seconds", "training_seconds")}
    totals = {seen.probe: seen for seen in observations}
    return replace(
        first, observations=observations, notes=(*first.notes, note),
        environment={**first.environment, "seeds": len(reports), **times},
        probes=tuple(
            replace(run, seconds=totals[run.name].seconds, steps=totals[run.name].steps,
                    status=totals[run.name].status, reason=totals[run.name].reason)
            if run.name in totals else run for run in first.probes),
    )


def _same(report: Report, seen: Observation) -> Observation | None:
    return next((other for other in report.observations if other.probe == seen.probe), None)


def _of_probe(runs: Sequence[Observation]) -> Observation:
    # A run that could not measure says less than one that could.
    best = next((run for run in runs if run.status == "measured"), runs[0])
    found: dict[tuple[str, str], list[Measurement]] = {}
    for run in (best, *(run for run in runs if run is not best)):
        for item in run.measurements:
            found.setdefault((item.name, item.subject), []).append(item)
    ours = {(item.name, item.subject): item for item in best.measurements}
    measurements = tuple(
        _median(found[key]) if 2 * len(found[key]) > len(runs) else item
        for key, item in ours.items()
    )
    return replace(best, measurements=measurements, seconds=sum(run.seconds for run in runs),
                   steps=sum(run.steps for run in runs))


def _median(items: Sequence[Measurement]) -> Measurement:
    """Return the item in the middle; of texts and flags the one that is most frequent."""
    values = [item.value for item in items]
    if any(isinstance(value, (bool, str)) for value in values):
        return items[values.index(statistics.mode(values))]
    middle = sorted(items, key=lambda item: _rank(item.value))[(len(items) - 1) // 2]
    finite = [float(value) for value in values if _rank(value) < math.inf]
    over_seeds = statistics.stdev(finite) if len(finite) > 1 else 0.0
    inside = max((item.spread for item in items if item.spread is not None), default=None)
    if inside is None or over_seeds > inside:
        return replace(middle, spread=over_seeds)
    return replace(middle, spread=inside)


def _rank(value: Scalar) -> float:
    """Return the number itself; what is not a number ranks with the largest."""
    number = float(value)
    return number if math.isfinite(number) or number < 0 else math.inf


def _seconds(report: Report, name: str) -> float:
    value = report.environment.get(name)
    return float(value) if isinstance(value, (int, float)) else 0.0
