"""What a report says of its findings as a whole."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sample_reports import failing, healthy

from auditor.errors import AuditFailed


def test_a_report_raises_on_findings_that_are_severe_enough() -> None:
    with pytest.raises(AuditFailed) as refusal:
        failing().raise_on("error")

    message = str(refusal.value)
    assert message.startswith("The audit found 5 faults:")
    assert "error[dying-relu]: All 64 units" in message and "(model.py:18)" in message
    assert "unshuffled-loader" not in message
    assert refusal.value.exit_code == 1


def test_a_healthy_report_raises_on_nothing() -> None:
    healthy().raise_on("info")


def test_known_and_ignored_findings_raise_nothing() -> None:
    aside = tuple(replace(finding, known=True) if index % 2 else
                  replace(finding, ignored="a.toml:1")
                  for index, finding in enumerate(failing().findings))

    replace(failing(), findings=aside).raise_on("info")
