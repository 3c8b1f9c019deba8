"""What a mended copy shows of causes and consequences."""
from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from builders import target
from torch import nn
from trial_cases import REMEDIES, blobs, crawling, found, judged, small, tried

from auditor.collected import Bounds
from auditor.evidence import Shown, explained_by_trial, recommended, revealed, with_trials
from auditor.finding import Fix, TrialOutcome
from auditor.mending import with_model
from auditor.remedy import Case, Mended
from auditor.store import BatchStore
from auditor.tryout import Tryout


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
        lambda version, store, depth: mended)).run()

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


@pytest.mark.parametrize("causes", [(), ("b",)])
def test_of_two_faults_of_the_data_one_causes_the_other_only_where_it_is_known_to(
    causes: tuple[str, ...],
) -> None:
    report = judged(replace(found("a", causes=causes), category="data"),
                    replace(found("b", consequences=("a",) if causes else ()), category="data"))

    told = explained_by_trial(report, Shown(resolves={"b": ("a", "b")}))

    assert {f.rule: f.causes for f in told.findings} == {"a": causes, "b": ()}


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


def test_a_rate_that_a_fix_has_set_is_not_the_users() -> None:
    mended = judged(found("lr-too-low"), found("hidden"))

    high = judged(found("lr-too-high"), lr_too_low="masked", hidden="masked")
    other = judged(found("saturated-activation"), lr_too_low="masked", hidden="masked")
    untried = judged(found("lr-too-high", severity="info"), lr_too_low="masked")

    assert [finding.rule for finding in revealed(high, mended)] == ["hidden"]
    assert [finding.rule for finding in revealed(other, mended)] == ["lr-too-low", "hidden"]
    assert [finding.rule for finding in revealed(untried, mended)] == ["lr-too-low"]


def test_fixes_are_ordered_by_what_they_did() -> None:
    fixes = [Fix(status, trial=TrialOutcome(status))
             for status in ("harms", "no-effect", "untried", "helps")]

    assert [fix.summary for fix in recommended(fixes)] == [
        "helps", "untried", "no-effect", "harms"]
