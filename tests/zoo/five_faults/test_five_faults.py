"""Five faults that mask each other: each fix alone shows nothing, all five bring it to learn."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor import audit


@pytest.mark.zoo
def test_every_fix_is_needed_and_all_together_help(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--all-members"):
        pytest.skip("slow: run by `make zoo`")

    joint = audit(str(Path(__file__).with_name("sick.py")), budget_seconds=180.0).joint

    assert joint is not None
    assert {fix.rule for fix in joint.fixes} == {
        "double-softmax", "unshuffled-loader", "dying-relu", "vanishing-gradient", "lr-too-high"}
    assert all(fix.needed for fix in joint.fixes)
    assert max(joint.as_is) < 0.2
    assert min(joint.together) > 0.8
    assert all(max(fix.alone) < 0.2 for fix in joint.fixes)
