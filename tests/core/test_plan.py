"""How the time of an audit is shared between its probes."""

from __future__ import annotations

import math

import pytest

from auditor import registry
from auditor.plan import Planned, budget_for, expect, needed, share_of_time

BUDGET = 60.0


def planned(step_seconds: float) -> list[Planned]:
    chosen = needed(registry.probes().items, list(registry.rules().items.values()))
    return [expect(probe, step_seconds) for probe in chosen]


def shares(step_seconds: float, greed: float) -> dict[str, float]:
    """Return what each probe is given when each takes `greed` times what it asks for, at most."""
    left, given = BUDGET, {}
    plan = planned(step_seconds)
    for position, now in enumerate(plan):
        if left < now.minimum:
            continue
        given[now.probe.name] = share_of_time(now, plan[position + 1:], left, BUDGET)
        left -= min(given[now.probe.name], greed * now.expected)
    return given


def test_every_probe_can_do_all_it_asks_for_where_steps_are_fast() -> None:
    asked = {one.probe.name: one.expected for one in planned(0.01)}
    given = shares(0.01, greed=1.0)

    assert [name for name in asked if given.get(name, -1.0) < asked[name]] == []


@pytest.mark.parametrize(("step_seconds", "names"), [
    (0.06, ("layers", "learning_rate", "overfit")), (0.2, ("layers", "learning_rate")),
])
def test_looks_that_train_leave_time_to_the_trials_where_steps_are_slow(
    step_seconds: float, names: tuple[str, ...],
) -> None:
    least = {one.probe.name: one.minimum for one in planned(step_seconds)}
    given = shares(step_seconds, greed=2.0)

    for name in names:
        assert given[name] > 1.1 * least[name]


def test_without_a_limit_everybody_has_all_the_time() -> None:
    plan = planned(1.0)

    assert share_of_time(plan[0], plan[1:], math.inf, math.inf) == math.inf


def test_looks_come_before_trials_and_a_probe_after_those_that_it_reads() -> None:
    probes = [one.probe for one in planned(1.0)]
    names = [probe.name for probe in probes]
    longs = [probe.cost.long for probe in probes]

    assert longs == sorted(longs)
    for probe in probes:
        assert all(names.index(name) < names.index(probe.name) for name in probe.after)


def test_a_look_that_trains_has_what_those_after_it_leave_on_most_targets() -> None:
    plan = planned(0.06)
    names = [one.probe.name for one in plan]
    position = names.index("information")
    given = share_of_time(plan[position], plan[position + 1:], 40.0, BUDGET)

    assert plan[position].expected > 10.0
    assert given == pytest.approx(40.0 - BUDGET / 2)


def test_a_trial_has_what_is_enough_for_it_before_those_after_it_have_their_part() -> None:
    plan = planned(0.1)
    position = [one.probe.name for one in plan].index("learning_rate")

    assert share_of_time(plan[position], plan[position + 1:], 30.0, BUDGET) > plan[position].enough
    assert share_of_time(plan[position], plan[position + 1:], 10.0, BUDGET) == 10.0


@pytest.mark.parametrize("step_seconds", [0.5, 0.8])
def test_where_no_trial_fits_the_looks_still_see_something(step_seconds: float) -> None:
    plan = planned(step_seconds)
    position = [one.probe.name for one in plan].index("layers")
    given = share_of_time(plan[position], plan[position + 1:], 28.0, BUDGET)

    assert plan[position].minimum < given <= 14.0


@pytest.mark.parametrize(("part", "seeds"), [(1.0, 1), (0.8, 1), (0.8 / 3, 3)])
def test_the_budget_asked_for_is_larger_than_the_one_that_was_given(
    part: float, seeds: int,
) -> None:
    for now in planned(0.01):
        asked = budget_for(now, 0.0, BUDGET * part, part)

        assert asked >= BUDGET + seeds * now.expected
