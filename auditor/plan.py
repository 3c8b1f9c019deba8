"""Decides which probes run, in which order, and how much time each may take."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from auditor.probe import Probe
from auditor.rule import Rule

# How far a look at the model may overrun what it asks for, and its part of the budget at least.
_MARGIN = 4.0
_LOOK_SHARE = 0.15
# The part of the budget that the looks that train leave to the long trials, and the part of what is
# left at most, where one of these needs more.
_FOR_TRIALS, _MOST_FOR_TRIALS = 0.5, 0.8
# Such a look gets this part of what is left in any case, if it can say something with it.
_TO_SAY_ANYTHING = 0.5
# Some time passes before a probe counts what it can afford, and watched steps cost more.
_MINIMUM_MARGIN = 1.3


@dataclass(frozen=True)
class Planned:
    """A probe and the time that its steps take, in seconds.

    Attributes:
        probe: Which one.
        expected: For all its steps.
        minimum: For the fewest with which it can say anything.
        usual: For as many as it takes on most targets.
        enough: For as many as it gets before those after it have their part.
    """

    probe: type[Probe]
    expected: float
    minimum: float
    usual: float
    enough: float


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


def without_trials(
    probes: Mapping[str, type[Probe]], rules: Sequence[Rule],
) -> tuple[list[Rule], list[Rule]]:
    """Return the rules that can be judged without training trials, and the others."""
    long = {quantity.name for probe in probes.values() if probe.cost.long
            for quantity in probe.yields}
    kept = [rule for rule in rules if not long & set(rule.requires)]
    return kept, [rule for rule in rules if rule not in kept]


def _in_order(probes: Sequence[type[Probe]]) -> list[type[Probe]]:
    """Return looks, looks that train and trials, each probe after those that it reads."""
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
    cost = probe.cost
    usual = cost.steps if cost.usual is None else cost.usual
    return Planned(probe, cost.steps * step_seconds, cost.minimum_steps * step_seconds,
                   usual * step_seconds, cost.enough * step_seconds)


def forecast(planned: Sequence[Planned], step_seconds: float, seconds_left: float) -> str:
    """Say how long all probes are going to take, as far as the steps tell.

    Args:
        planned: All that is to run.
        step_seconds: Of a training step, as measured.
        seconds_left: Of the budget, which ends everything.
    """
    expected = sum(one.usual for one in planned)
    until = f", cut at {seconds_left:.0f} s" if expected > seconds_left else ""
    return (f"about {max(expected, 1.0):.0f} s{until}: {len(planned)} probes, steps of "
            f"{1e3 * step_seconds:.3g} ms")


def budget_for(now: Planned, seconds_left: float, budget_seconds: float, part: float) -> int:
    """Return the budget in seconds, as the user sets it, under which a probe would have its time.

    Args:
        now: The probe.
        seconds_left: When its turn came.
        budget_seconds: Of the session.
        part: That the session has of the user's budget, beside other sessions and trials of fixes.
    """
    missing = max(now.minimum - max(seconds_left, 0.0), 1.0)
    return math.ceil((budget_seconds + missing + now.expected) / part)


def seconds_needed(now: Planned) -> float:
    """Return the seconds that a probe needs to say anything."""
    return _MINIMUM_MARGIN * now.minimum


def share_of_time(
    now: Planned, later: Sequence[Planned], seconds_left: float, budget_seconds: float,
) -> float:
    """Return the seconds that the next probe may take.

    A look at the model gets several times what it asks for, since the steps of a watched pass
    cost more than plain ones and everything else builds on it. A look that trains takes half of
    the room at most, or what the looks after it leave of it on most targets, so that where steps
    are slow something is left for the next one, and for the trials; but what it needs to say
    anything comes before trials that may not fit at all. Each of these gets its part of what is
    left, of what it asks for itself and what those after it take on most targets, though never
    below its minimum, nor below what is enough for it. Time that a probe does not use goes to
    those after it.
    """
    if math.isinf(seconds_left):
        return seconds_left
    minimum = seconds_needed(now)
    if now.probe.cost.long:
        total = now.expected + sum(max(p.usual, p.minimum) for p in later)
        fair = seconds_left * now.expected / total if total > 0 else seconds_left
        return min(seconds_left, max(fair, minimum, _MINIMUM_MARGIN * now.enough))
    generous = max(_MARGIN * now.expected, _LOOK_SHARE * budget_seconds)
    if now.probe.cost.trains and any(p.probe.cost.long for p in later):
        room = max(seconds_left - _reserved(later, seconds_left, budget_seconds), 0.0)
        others = sum(p.usual for p in later if not p.probe.cost.long)
        least = minimum if minimum <= _TO_SAY_ANYTHING * seconds_left else min(minimum, room)
        generous = min(generous, max(room / 2, room - others, least))
    return min(seconds_left, generous)


def _reserved(later: Sequence[Planned], seconds_left: float, budget_seconds: float) -> float:
    """Return the seconds to be left to the trials: a part of the budget, or what is enough."""
    possible = [p for p in later
                if p.probe.cost.long and seconds_needed(p) <= seconds_left]
    enough = _MINIMUM_MARGIN * max((p.enough for p in possible), default=0.0)
    return max(_FOR_TRIALS * budget_seconds, min(enough, _MOST_FOR_TRIALS * seconds_left))
