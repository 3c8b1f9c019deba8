"""Versions side by side: what counts as help, what is shared, what the report says after."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any, ClassVar

import pytest
import torch
from builders import target
from torch import nn

from auditor.candidate import Candidate, side_by_side, try_on_top
from auditor.collected import Bounds
from auditor.comparison import is_open, measures, outcome, verdict
from auditor.counterfactual import Lab, Look, Runs
from auditor.evidence import Shown, explained_by_trial, recommended, revealed, with_trials
from auditor.finding import Finding, Fix, TrialOutcome, Verdict
from auditor.mending import set_rate, with_model, with_optimizer
from auditor.probe import OutOfTime
from auditor.remedy import CannotMend, Case, Mended
from auditor.report import Report, RuleSummary
from auditor.store import BatchStore
from auditor.target import Target
from auditor.tryout import Tryout


def blobs(count: int = 600) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(count) % 3
    centres = 2.0 * torch.randn(3, 6, generator=generator)
    return centres[y] + torch.randn(count, 6, generator=generator), y


def small() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))


def crawling(**changes: Any) -> Target:
    return target(small, *blobs(), optimizer=torch.optim.SGD, lr=1e-6, **changes)


def at_rate(lr: float) -> Mended:
    def change(optimizer: torch.optim.Optimizer, _: nn.Module) -> None:
        for group in optimizer.param_groups:
            set_rate(group, lr)

    return Mended(lambda mended: with_optimizer(mended, change))


def lab_of(audited: Target, steps: int = 30) -> Lab:
    return Lab(audited, BatchStore(audited, 0), seed=0, steps=steps, deadline=math.inf)


def found(rule: str = "lr-too-low", *fixes: Fix, **changes: Any) -> Finding:
    plain = Finding(rule=rule, category="learning-rate", severity="error", confidence="high",
                    title=rule, message="Seen.", fixes=fixes or (Fix("x", remedy="good"),))
    return replace(plain, **changes)


def judged(*findings: Finding, **verdicts: str) -> Report:
    names = {f.rule: Verdict("fired") for f in findings}
    others = {rule.replace("_", "-"): Verdict(v) for rule, v in verdicts.items()}  # type: ignore[arg-type]
    every = {**names, **others}
    return Report("fail", findings=findings, verdicts=every,
                  rules={r: RuleSummary("learning-rate", "error", r, r) for r in every})


class Good:
    name: ClassVar[str] = "good"
    says: ClassVar[str] = "a rate that learns"

    def mend(self, case: Case) -> Mended:
        return replace(at_rate(0.3), says="Set the rate to 0.3.")


class Useless:
    name: ClassVar[str] = "useless"
    says: ClassVar[str] = "nothing"

    def mend(self, case: Case) -> Mended:
        return Mended(lambda mended: mended)


class Broken:
    name: ClassVar[str] = "broken"
    says: ClassVar[str] = "raises"

    def mend(self, case: Case) -> Mended:
        raise ZeroDivisionError("oops")


class Impossible:
    name: ClassVar[str] = "impossible"
    says: ClassVar[str] = "never applies"

    def mend(self, case: Case) -> Mended:
        raise CannotMend("there is nothing to change")


REMEDIES = {remedy.name: remedy for remedy in (Good, Useless, Broken, Impossible)}


def tried(report: Report, audited: Target, again: Report | None = None,
          deadline: float = math.inf) -> Report:
    seen = again or Report("pass")
    return Tryout(report, Bounds(
        audited, BatchStore(audited, 0), REMEDIES, 0, 0.0, deadline,
        lambda mended, long: seen)).run()


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
        lambda mended, long: Report("pass"))).run()

    assert told.findings[0].fixes[0].trial.status == "untried"
    assert "budget" in told.findings[0].fixes[0].trial.reason


def test_runs_stop_at_the_deadline() -> None:
    audited = crawling()
    lab = Lab(audited, BatchStore(audited, 0), seed=0, steps=30, deadline=time.monotonic() - 1)

    with pytest.raises(OutOfTime):
        lab.runs([], [])


def test_what_vanishes_with_the_cause_is_its_consequence() -> None:
    report = judged(found("lr-too-low"), found("dying", Fix("y")))
    mended = judged(lr_too_low="clear", dying="clear")

    told = tried(report, crawling(), again=mended)
    cause, consequence = told.findings

    assert cause.fixes[0].trial.resolves == ("lr-too-low", "dying")
    assert consequence.causes == ("lr-too-low",)
    assert cause.consequences == ("dying",)
    assert "trial confirms" in consequence.message


def test_a_root_without_a_remedy_is_tried_through_what_follows_from_it() -> None:
    report = judged(found("odd", Fix("Look."), consequences=("lr-too-low",)),
                    found("lr-too-low", causes=("odd",)))
    mended = judged(odd="clear", lr_too_low="clear")

    told = tried(report, crawling(), again=mended)

    assert {f.rule: f.causes for f in told.findings} == {"lr-too-low": (), "odd": ("lr-too-low",)}


class Weak(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.factor = small(), 0.01

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.body(self.factor * x)
        return output


class Strong:
    name: ClassVar[str] = "strong"
    says: ClassVar[str] = "takes the factor off"

    def mend(self, case: Case) -> Mended:
        def change(model: nn.Module) -> None:
            model.factor = 1.0  # type: ignore[assignment]

        return Mended(lambda mended: with_model(mended, change))


def test_a_consequence_that_stays_and_has_a_fix_of_its_own_becomes_a_root() -> None:
    audited = target(Weak, *blobs(), optimizer=torch.optim.SGD, lr=1e-6)
    report = judged(found("lr-too-low", consequences=("weak",)),
                    found("weak", Fix("Take it off.", remedy="strong"), causes=("lr-too-low",)))
    mended = judged(found("weak", Fix("Take it off.", remedy="strong")), lr_too_low="clear")

    told = Tryout(report, Bounds(
        audited, BatchStore(audited, 0), {**REMEDIES, "strong": Strong}, 0, 0.0, math.inf,
        lambda version, long: mended)).run()

    assert {f.rule: f.causes for f in told.findings} == {"lr-too-low": (), "weak": ()}
    assert told.joint is not None and len(told.joint.fixes) == 2


def test_a_report_that_is_judged_again_keeps_the_causes_that_trials_have_shown() -> None:
    helped = Fix("y", remedy="good", trial=TrialOutcome("helps"))
    former = judged(found("a", causes=("b",)), found("b", helped, consequences=("a",)))

    again = with_trials(judged(found("a"), found("b", Fix("y", remedy="good"))), former)

    assert {f.rule: f.causes for f in again.findings} == {"b": (), "a": ("b",)}


def test_a_root_whose_own_fix_helps_stays_a_root() -> None:
    helped = Fix("y", trial=TrialOutcome("helps"))
    report = judged(found("a"), found("b", helped))

    told = explained_by_trial(report, Shown(resolves={"a": ("a", "b")}))

    assert [finding.causes for finding in told.findings] == [(), ()]


def test_two_that_remove_each_other_stay_roots() -> None:
    report = judged(found("a"), found("b"))

    told = explained_by_trial(report, Shown(resolves={"a": ("a", "b"), "b": ("a", "b")}))

    assert [finding.causes for finding in told.findings] == [(), ()]


def test_a_told_cause_that_goes_away_with_its_consequence_was_none() -> None:
    report = judged(found("a", consequences=("b",)), found("b", causes=("a",)))

    told = explained_by_trial(report, Shown(resolves={"b": ("a", "b")}))

    assert {f.rule: f.causes for f in told.findings} == {"b": (), "a": ("b",)}


def test_a_model_is_not_the_cause_of_a_fault_of_the_data() -> None:
    data = replace(found("a", consequences=("b",)), category="data")
    report = judged(data, replace(found("b", causes=("a",)), category="fit"))

    told = explained_by_trial(report, Shown(resolves={"b": ("a", "b")}))

    assert {f.rule: f.causes for f in told.findings} == {"a": (), "b": ("a",)}


def test_a_told_cause_whose_own_fix_helps_stays_a_cause() -> None:
    helped = Fix("y", trial=TrialOutcome("helps"))
    report = judged(found("a", helped, consequences=("b",)), found("b", causes=("a",)))

    told = explained_by_trial(report, Shown(resolves={"b": ("a", "b")}))

    assert {f.rule: f.causes for f in told.findings} == {"a": (), "b": ("a",)}


def test_what_comes_back_with_one_fault_alone_is_its_doing() -> None:
    helped = Fix("y", trial=TrialOutcome("helps"))
    report = judged(found("a", consequences=("b",)), found("b", helped, causes=("a",)),
                    found("c", helped))

    told = explained_by_trial(report, Shown(
        together=("a",), without={"b": {"a": "fired"}, "c": {"a": "clear"}}))

    assert {f.rule: f.causes for f in told.findings} == {"b": (), "c": (), "a": ("b",)}


def test_a_consequence_that_outlives_its_causes_stands_for_itself() -> None:
    report = judged(found("a", consequences=("b",)), found("b", causes=("a",)))

    told = explained_by_trial(report, Shown(stands={"b"}))

    assert [finding.causes for finding in told.findings] == [(), ()]
    assert "stands for itself" in told.findings[1].message


def test_masked_rules_that_fire_on_the_mended_copy_are_found() -> None:
    report = judged(found("lr-too-low"), hidden="masked", other="clear")
    mended = judged(found("hidden"), found("other"))

    assert [finding.rule for finding in revealed(report, mended)] == ["hidden"]


def test_fixes_are_ordered_by_what_they_did() -> None:
    fixes = [Fix(status, trial=TrialOutcome(status))
             for status in ("harms", "no-effect", "untried", "helps")]

    assert [fix.summary for fix in recommended(fixes)] == [
        "helps", "untried", "no-effect", "harms"]


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
