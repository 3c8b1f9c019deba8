from __future__ import annotations

import math
from dataclasses import replace
from importlib import import_module

import pytest
from sample_reports import failing, healthy, incomplete

from auditor.finding import Evidence, TrialOutcome
from auditor.observation import Json, Place
from auditor.report import Report

wording = import_module("auditor.reports.wording")


@pytest.mark.parametrize(("value", "shown"), [
    (0.0, "0"), (0.63157, "0.632"), (2.5, "2.5"), (99.96, "100"), (12345.0, "12300"),
    (1e-7, "1e-7"), (0.0001234, "1.23e-4"), (999_499.0, "999000"), (999_999.0, "1e6"),
    (-3.14159, "-3.14"), (math.nan, "NaN"), (math.inf, "inf"), (-math.inf, "-inf"),
    (61706, "61706"), (12_345_678, "1.23e7"), (True, "yes"), (False, "no"), ("Adam", "Adam"),
    ("nan", "NaN"), ([0.1, 0.3, 0.2], "0.1 to 0.3"), ([0.1, 0.1], "0.1"),
])
def test_numbers_have_at_most_three_digits(value: Json, shown: str) -> None:
    assert wording.number(value) == shown


@pytest.mark.parametrize(("says", "unit", "shown"), [
    ("dead units", "share", "dead units in fc1: 0.63 share (limit 0.5)"),
    ("share of dead units", "share", "share of dead units in fc1: 0.63 (limit 0.5)"),
    ("", "share", "dead share in fc1: 0.63 (limit 0.5)"),
])
def test_evidence_says_value_unit_and_limit(says: str, unit: str, shown: str) -> None:
    item = Evidence("dead_share", 0.63, says, "fc1", ">", 0.5, "max_dead_share", "pack", unit)

    assert wording.evidence_line(item) == shown


def test_a_limit_that_the_user_set_is_marked() -> None:
    item = Evidence("loss", 3.0, "", "", ">", 2.0, "max_loss", "command line", "", 0.25)

    assert wording.evidence_line(item) == "loss: 3 +/- 0.25 (limit 2, from the command line)"


@pytest.mark.parametrize(("report", "sentence"), [
    (failing(), "model.py will not train properly as it is: 5 errors, 1 warning; 4 root causes"),
    (replace(failing(), verdict="warn", findings=failing().findings[3:4]),
     "model.py trains, but is held back or at risk: 1 warning"),
    (healthy(), "No fault was found in lenet.py: 13 checks clear"),
    (incomplete(), "No fault was found in lenet.py, but 3 of 14 checks could not be made"),
])
def test_the_verdict_is_one_sentence(report: Report, sentence: str) -> None:
    assert wording.verdict_sentence(report) == sentence


def test_known_findings_are_counted_apart() -> None:
    report = failing()
    first, *others = report.findings
    report = replace(report, findings=(replace(first, known=True), *others))

    counts = wording.fault_counts(report)

    assert counts == "4 errors, 1 warning, 1 known from the baseline; 3 root causes"


def test_an_outcome_tells_what_changed_and_what_it_clears() -> None:
    outcome = TrialOutcome("helps", "3 seeds", {"loss": 2.3026}, {"loss": 0.0412}, ("b", "a"))

    assert wording.trial_line(outcome) == "helps: loss 2.3 -> 0.0412; clears a, b (3 seeds)"


def test_an_untried_fix_without_a_reason_says_nothing() -> None:
    assert wording.trial_line(TrialOutcome()) == ""


@pytest.mark.parametrize(("names", "shown"), [
    ([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c"),
    (["a", "b", "c", "d", "e"], "a, b and 3 more"),
])
def test_long_lists_are_cut(names: list[str], shown: str) -> None:
    assert wording.listed(names) == shown


@pytest.mark.parametrize(("place", "shown"), [
    (None, ""), (Place("model.py", 4), "model.py:4"), (Place("model.py", 4, 9), "model.py:4:9"),
])
def test_an_unknown_place_is_left_out(place: Place | None, shown: str) -> None:
    assert wording.where(place) == shown


def test_control_and_direction_characters_are_shown_as_escapes() -> None:
    assert wording.visible("a\x1b[31m\u202e\udc80é") == "a\\x1b[31m\\u202e\\udc80é"


@pytest.mark.parametrize("source", ["", "pack", "measured"])
def test_a_limit_that_the_user_did_not_set_is_not_marked(source: str) -> None:
    item = Evidence("loss", 3.0, "", "", ">", 2.0, "max_loss", source)

    assert wording.evidence_line(item) == "loss: 3 (limit 2)"
