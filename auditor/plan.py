"""Decides which probes run, in which order, and how much time each may take."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from auditor.probe import Probe
from auditor.rule import Rule


@dataclass(frozen=True)
class Planned:
    """A probe and the time that its steps are expected to take, in seconds."""

    probe: type[Probe]
    expected: float
    minimum: float


def needed(
    probes: Mapping[str, type[Probe]], rules: Sequence[Rule],
) -> list[type[Probe]]:
    """Return the probes that yield what the rules speak of, and those that these read.

    Args:
        probes: Installed probes by name, in their order.
        rules: The selected rules.
    """
    wanted = {name for rule in rules for name in (*rule.requires, *rule.mentions)}
    chosen = {
        name for name, probe in probes.items()
        if wanted & {quantity.name for quantity in probe.yields}
    }
    while True:
        more = {earlier for name in chosen for earlier in probes[name].after
                if earlier in probes} - chosen
        if not more:
            return _in_order([probe for name, probe in probes.items() if name in chosen])
        chosen |= more


def _in_order(probes: Sequence[type[Probe]]) -> list[type[Probe]]:
    """Return the probes cheapest first, each after those whose observations it reads."""
    waiting = sorted(probes, key=lambda probe: (probe.cost.long, probe.cost.trains))
    ordered: list[type[Probe]] = []
    while waiting:
        done = {probe.name for probe in ordered}
        open_names = {probe.name for probe in waiting}
        ready = next(
            (p for p in waiting if not (set(p.after) & open_names) - done), waiting[0]
        )
        waiting.remove(ready)
        ordered.append(ready)
    return ordered


def expect(probe: type[Probe], step_seconds: float) -> Planned:
    """Return what a probe will take at the measured cost of a step."""
    return Planned(
        probe, probe.cost.steps * step_seconds, probe.cost.minimum_steps * step_seconds
    )


def share_of_time(now: Planned, later: Iterable[Planned], seconds_left: float) -> float:
    """Return the seconds that the next probe may take.

    Everybody gets what it asks for as long as there is enough; else all are cut in proportion,
    though never below the minimum of the probe at hand. Time that a probe does not use goes to
    those after it.
    """
    if math.isinf(seconds_left):
        return seconds_left
    rest = sum(max(planned.expected, planned.minimum) for planned in later)
    total = now.expected + rest
    if total <= 0:
        return seconds_left
    fair = seconds_left * now.expected / total
    return min(seconds_left, max(fair, now.minimum))
