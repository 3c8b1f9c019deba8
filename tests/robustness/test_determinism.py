"""The same seed gives the same findings and numbers; another seed other numbers.

`DETERMINISM_RUNS=10 pytest tests/robustness/test_determinism.py` audits ten times instead of twice.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from userfiles import WHOLE, writer

from auditor.api import audit
from auditor.report import Report

RUNS = int(os.environ.get("DETERMINISM_RUNS", "2"))
SICK = WHOLE.replace("return self.fc(x)", "return torch.relu(self.fc(x)).softmax(1)")


def said(report: Report) -> dict[str, Any]:
    """Return findings, verdicts and numbers; not what clocks tell."""
    timed = {name for name, told in report.quantities.items() if told.unit in ("s", "ms")} | {
        "loader_wait_share", "step_seconds"}
    return {
        "findings": [(f.rule, f.severity, f.layers, f.causes, f.message) for f in report.findings],
        "verdicts": {rule: found.verdict for rule, found in report.verdicts.items()},
        "numbers": {(m.name, m.subject): repr(m.value) for seen in report.observations
                    for m in seen.measurements if m.name not in timed},
    }


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Report]:
    file = writer(tmp_path_factory.mktemp("same"))(SICK)
    rules = ["data", "double-softmax", "lr-too-high", "activation"]
    return [audit(file, seed=4, budget_seconds=1e9, select=rules) for _ in range(RUNS)]


def test_the_same_seed_gives_the_same_findings_and_numbers(reports: Sequence[Report]) -> None:
    first = said(reports[0])

    assert first["findings"]
    for other in reports[1:]:
        assert said(other) == first


def test_another_seed_gives_other_numbers(tmp_path: Path) -> None:
    file = writer(tmp_path)(SICK)

    def numbers(seed: int) -> Any:
        report = audit(file, seed=seed, budget_seconds=1e9, select=["activation"], profile="quick")
        return said(report)["numbers"]

    assert numbers(1) != numbers(2)
