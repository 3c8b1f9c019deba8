"""Fixes that are shown only where they can be meant."""

from __future__ import annotations

import math
from typing import Any

import pytest
from sample_rules import fired

from auditor import registry
from auditor.scene import Scene


@pytest.mark.parametrize(("numbers", "spread", "told"), [
    (True, 2890.0, True), (True, 10.0, False), (True, 1.0, False), (False, 2890.0, False),
])
def test_targets_are_to_be_standardised_where_they_are_numbers_and_are_not(
    numbers: bool, spread: float, told: bool
) -> None:
    finding = fired(registry.rules().items["lr-too-high"], {
        "lr_ratio": 4e4, "growth_through_time": 0.0, "lr_gap": 1.0, "lr_gap_least": 1.0,
        "lr_gap_warm": 1.0, "lr_gap_p": 0.0, "lr_trials": 3, "blown_up_share": 1.0,
        "killed_share": 0.0, "user_lr": 1e-2, "suggested_lr": 2.5e-7, "flat_lr_low": 1e-7,
        "flat_lr_high": 2.5e-7, "user_loss_after": math.inf, "suggested_loss_after": 1.3e7,
        "initial_trial_loss": 1.3e7, "lr_trial_steps": 56, "predicts_numbers": numbers,
        "target_std": spread}, Scene())

    assert any("Standardise the targets" in fix.summary for fix in finding.fixes) == told


@pytest.mark.parametrize(("numbers", "spread", "told"), [
    (True, 1e5, True), (True, 10.0, False), (False, 1e5, False), (None, None, False),
])
def test_where_a_rate_is_too_low_for_raw_targets_they_may_be_standardised_instead(
    numbers: bool | None, spread: float | None, told: bool
) -> None:
    known: dict[str, Any] = (
        {} if numbers is None else {"predicts_numbers": numbers, "target_std": spread})
    finding = fired(registry.rules().items["lr-too-low"], {
        "lr_ratio": 1.2e-3, "lr_gap": 1.0, "lr_gap_least": 1.0, "lr_gap_p": 0.0,
        "lr_gap_to_noise": math.inf, "lr_trials": 2, "epoch_progress": 0.001, "best_descent": 0.9,
        "lr_speedup": 50.0, "pretrained": False, "best_below_zero": 0.0, "user_lr": 1e-3,
        "suggested_lr": 0.83,
        "flat_lr_low": 0.83, "flat_lr_high": 0.83, "user_loss_after": 1.61e11,
        "suggested_loss_after": 4e9, "initial_trial_loss": 1.61e11, "lr_trial_steps": 56,
        "epoch_steps": 2000, **known}, Scene())

    assert any("standardise the targets" in fix.summary for fix in finding.fixes) == told


@pytest.mark.parametrize("decay", [0.0, 0.3, None])
def test_a_decay_is_to_be_switched_off_where_there_is_one(decay: float | None) -> None:
    known = {} if decay is None else {"weight_decay": decay}
    finding = fired(registry.rules().items["underfitting"], {
        "neighbours_lead": 0.3, "neighbours_asked": True, "fit_late_fall": 0.01, "fit_gap": 0.02,
        "fit_level": 0.6, "fit_scale_known": True, "fit_steps": 400, "fit_epochs": 5, **known},
        Scene())

    assert [fix.summary for fix in finding.fixes if fix.remedy == "decay-off"] == (
        ["Switch the weight decay of 0.3 off."] if decay else [])
