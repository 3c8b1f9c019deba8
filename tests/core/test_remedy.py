"""Fixes are tried by training both versions, and nothing of the user's is changed."""
from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any

import pytest
import torch
from builders import target
from torch import nn
from trial_cases import REMEDIES, at_rate, blobs, crawling, found, judged, lab_of, small, tried

from auditor.candidate import Candidate, side_by_side, try_on_top
from auditor.collected import Bounds
from auditor.comparison import is_near, is_open, measures, outcome, verdict
from auditor.counterfactual import Lab, Runs
from auditor.finding import Fix, TrialOutcome
from auditor.looks import Look
from auditor.mending import with_model
from auditor.probe import OutOfTime
from auditor.remedy import Mended
from auditor.report import Report
from auditor.store import BatchStore
from auditor.tryout import Tryout


def test_a_rate_that_learns_helps() -> None:
    one = Candidate(found(), 0, at_rate(0.3))

    try_on_top(lab_of(crawling()), one, [])

    assert one.outcome.status == "helps"
    assert one.outcome.seeds >= 2
    assert one.outcome.steps == 30


def test_curves_end_where_the_runs_end() -> None:
    one = Candidate(found(), 0, at_rate(0.3))

    try_on_top(lab_of(crawling()), one, [])
    before, after = (part["accuracy"] for part in (one.outcome.before, one.outcome.after))

    assert isinstance(before, list) and isinstance(after, list)
    assert before[0] == after[0]
    assert after[-1] > 0.9 > before[-1]  # type: ignore[operator]


def test_a_change_that_does_nothing_has_no_effect() -> None:
    one = Candidate(found(), 0, Mended(lambda mended: mended))

    try_on_top(lab_of(crawling()), one, [])

    assert one.outcome.status == "no-effect"


def test_a_rate_that_blows_up_harms() -> None:
    healthy = target(small, *blobs(), optimizer=torch.optim.SGD, lr=0.3)
    one = Candidate(found(), 0, at_rate(1e4))

    try_on_top(lab_of(healthy), one, [])

    assert one.outcome.status == "harms"


def test_noise_alone_does_not_help() -> None:
    x, _ = blobs()
    noise = torch.randint(0, 3, (600,), generator=torch.Generator().manual_seed(1))
    hopeless = target(small, x, noise, optimizer=torch.optim.SGD, lr=1e-6)
    wins = 0
    for seed in range(5):
        one = Candidate(found(), 0, Mended(lambda mended: with_model(
            mended, lambda model: nn.init.normal_(model[0].weight, std=0.4))))  # type: ignore[index, arg-type]
        store = BatchStore(hopeless, seed)
        try_on_top(Lab(hopeless, store, seed=seed, steps=10, deadline=math.inf), one, [])
        scores = one.outcome.after["accuracy"]
        wins += one.outcome.status == "helps" and scores[-1] > 0.4  # type: ignore[index, operator]

    assert wins == 0


def test_both_versions_see_the_same_batches() -> None:
    seen: list[float] = []
    audited = crawling()

    def compute(model: nn.Module, batch: Any) -> Any:
        if torch.is_grad_enabled():
            seen.append(float(batch[0].sum()))
        return audited.compute(model, batch)

    lab = lab_of(replace(audited, compute=compute), steps=8)
    lab.runs([], [])
    first = list(seen)
    seen.clear()
    mended = at_rate(0.3)
    lab.runs([mended], [mended])

    assert seen == first


def test_a_target_that_raises_is_mended_by_one_that_runs() -> None:
    wrong = target(lambda: nn.Sequential(nn.Linear(5, 3)), *blobs())
    right = Mended(lambda mended: replace(mended, make_model=small))
    one = Candidate(found(), 0, right)

    try_on_top(lab_of(wrong), one, [])

    assert one.outcome.status == "helps"
    assert "raises" in one.outcome.reason


def test_a_mended_version_that_raises_is_untried() -> None:
    broken = Mended(lambda mended: replace(mended, make_model=lambda: nn.Linear(5, 3)))
    one = Candidate(found(), 0, broken)

    try_on_top(lab_of(crawling()), one, [])

    assert one.outcome.status == "untried"
    assert "does not run" in one.outcome.reason


def runs(losses: list[list[float]], scores: list[list[float]], name: str = "accuracy") -> Runs:
    looks = [[Look(tuple(a), tuple(b), name if b else "")]
             for a, b in zip(losses, scores, strict=True)]
    return Runs([[1.0]] * len(losses), looks)


def test_losses_of_different_functions_are_not_compared() -> None:
    before = runs([[2.0, 2.1], [2.0, 2.2]], [[0.5, 0.5], [0.5, 0.5]])
    after = runs([[0.1, 0.1], [0.1, 0.1]], [[0.5, 0.5], [0.5, 0.5]])

    assert [one.name for one in measures(before, after, same_loss=False)] == ["accuracy"]
    assert outcome(before, after, same_loss=False, steps=9).status == "no-effect"
    assert outcome(before, after, same_loss=True, steps=9).status == "helps"


@pytest.mark.parametrize(("end", "status"), [(0.36, "untried"), (1.9, "harms"), (0.1, "helps")])
def test_a_fix_that_learns_at_another_loss_is_not_called_harmful(end: float, status: str) -> None:
    def learning(last: float) -> Runs:
        looks = [[Look((value, value + 0.001), (), "") for value in (1.6, last)]] * 2
        return Runs([[1.0]] * 2, looks)

    assert outcome(learning(0.31), learning(end), same_loss=False, steps=9).status == status
    assert outcome(learning(0.31), learning(0.36), same_loss=True, steps=9).status == "harms"


def test_an_infinite_loss_is_worse_than_any_other() -> None:
    before = runs([[math.inf], [math.inf]], [[], []], "")
    after = runs([[9.0], [9.0]], [[], []], "")

    assert verdict(measures(before, after, same_loss=True)) == "helps"
    assert verdict(measures(after, before, same_loss=True)) == "harms"
    assert verdict(measures(before, before, same_loss=True)) == "no-effect"


def test_seeds_that_disagree_show_nothing() -> None:
    before = runs([[1.0, 1.0], [1.0, 1.0]], [[], []], "")
    after = runs([[0.2, 0.2], [1.1, 1.1]], [[], []], "")

    assert verdict(measures(before, after, same_loss=True)) == "no-effect"


def test_runs_that_gain_by_their_luck_show_nothing() -> None:
    before = runs([[1.0] * 6] * 2, [[]] * 2, "")
    after = runs([[0.95] * 6, [0.5] * 6], [[]] * 2, "")

    assert verdict(measures(before, after, same_loss=True)) == "no-effect"
    assert is_open(before, after, same_loss=True)


def test_a_small_gain_is_looked_at_again() -> None:
    before = runs([[1.0] * 6] * 2, [[]] * 2, "")
    small, large = (runs([[v] * 6, [v + 0.01] * 6], [[]] * 2, "") for v in (0.93, 0.3))

    assert outcome(before, small, same_loss=True, steps=9).status == "helps"
    assert is_open(before, small, same_loss=True)
    assert not is_open(before, large, same_loss=True)


@pytest.mark.parametrize(("after", "near"), [
    ((0.97, 0.35, 0.94, 0.3), True), ((1.4, 0.2, 1.3, 0.2), False), ((0.999,) * 4, False),
])
def test_a_gain_on_every_seed_that_varies_gets_more_seeds(
    after: tuple[float, ...], near: bool,
) -> None:
    before, later = (runs([[loss] * 6 for loss in losses], [[]] * 4, "")
                     for losses in ((1.0,) * 4, after))

    assert verdict(measures(before, later, same_loss=True)) == "no-effect"
    assert is_near(before, later, same_loss=True) is near


def test_fixes_that_need_each_other_are_shown_to() -> None:
    audited = target(lambda: _dead(small()), *blobs(), optimizer=torch.optim.SGD, lr=1e-6)
    chosen = {
        "bias": Candidate(found("bias"), 0, Mended(lambda mended: with_model(mended, _revived))),
        "rate": Candidate(found("rate"), 0, at_rate(0.3)),
    }
    lab = lab_of(audited, steps=40)
    for one in chosen.values():
        try_on_top(lab, one, [])

    joint = side_by_side(lab, chosen)

    assert joint is not None
    assert min(joint.together) > 0.85
    assert max(joint.as_is) < 0.6
    assert all(fix.needed for fix in joint.fixes)
    assert chosen["bias"].outcome.status == "helps"


def _dead(model: nn.Module) -> nn.Module:
    nn.init.constant_(model[0].bias, -100.0)  # type: ignore[index]
    return model


def _revived(model: nn.Module) -> None:
    nn.init.zeros_(model[0].bias)  # type: ignore[index]


def test_the_fix_that_helped_comes_first_with_its_words() -> None:
    finding = found("lr-too-low", Fix("Do nothing.", remedy="useless"),
                    Fix("Rate.", remedy="good"))

    report = tried(judged(finding), crawling())
    first, second = report.findings[0].fixes

    assert (first.remedy, first.trial.status) == ("good", "helps")
    assert first.summary == "Set the rate to 0.3."
    assert (second.remedy, second.trial.status) == ("useless", "no-effect")


def test_a_remedy_that_cannot_or_fails_says_why() -> None:
    finding = found("lr-too-low", Fix("a", remedy="impossible"), Fix("b", remedy="broken"),
                    Fix("c"))

    told = [fix.trial.reason for fix in tried(judged(finding), crawling()).findings[0].fixes]

    assert told == ["there is nothing to change",
                    "the remedy failed: ZeroDivisionError: oops", ""]


def test_info_known_and_consequence_findings_are_not_tried() -> None:
    report = judged(found("a", severity="info"), found("b", known=True),
                    found("c", causes=("b",)))

    assert all(fix.trial == TrialOutcome() for finding in tried(report, crawling()).findings
               for fix in finding.fixes)


def test_an_information_whose_rule_never_says_more_is_tried() -> None:
    report = judged(found("a", severity="info"))
    advice = replace(report, rules={"a": replace(report.rules["a"], severity="info")})

    assert tried(advice, crawling()).findings[0].fixes[0].trial.status == "helps"


def test_without_time_the_reason_is_told() -> None:
    report = judged(found())
    audited = crawling()
    told = Tryout(report, Bounds(
        audited, BatchStore(audited, 0), REMEDIES, 0, 0.5, time.monotonic() + 1.0,
        lambda mended, store, depth: Report("pass"))).run()

    assert told.findings[0].fixes[0].trial.status == "untried"
    assert "budget" in told.findings[0].fixes[0].trial.reason


def test_runs_stop_at_the_deadline() -> None:
    audited = crawling()
    lab = Lab(audited, BatchStore(audited, 0), seed=0, steps=30, deadline=time.monotonic() - 1)

    with pytest.raises(OutOfTime):
        lab.runs([], [])


def test_nothing_of_the_users_is_changed() -> None:
    model = small()
    x, y = blobs()
    audited = target(lambda: model, x, y, optimizer=torch.optim.SGD, lr=1e-6)
    audited = replace(audited, make_model=lambda: _copied(model), reinitialises=False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state, data = torch.get_rng_state(), x.clone()

    tried(judged(found("lr-too-low", Fix("a", remedy="good"), Fix("b", remedy="useless"))), audited)

    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(x, data)
    assert not any(module._forward_hooks or module._forward_pre_hooks
                   for module in model.modules())


def _copied(model: nn.Module) -> nn.Module:
    fresh = small()
    fresh.load_state_dict(model.state_dict())
    return fresh
