"""Whatever becomes of an audit, and whatever the user's step does, nothing of theirs changes."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
from bystander import SOURCE, readings

from auditor.api import audit
from auditor.errors import TargetError
from auditor.loading import load
from auditor.report import Report
from auditor.target import Target, WithTrainingStep

_LATE = 40
# How an audit ends: the learning rate, and a line of the user's step.
WAYS = {
    "ends normally": ("0.05", "pass"),
    "diverges": ("1e20", "pass"),
    "raises at once": ("0.05", "raise ValueError('from the user')"),
    "raises later": ("0.05", f"if calls > {_LATE}: raise ValueError('from the user')"),
    "is interrupted": ("0.05", f"if calls == {_LATE}: os.kill(os.getpid(), signal.SIGINT)"),
    "is handed live objects": ("0.05", "pass"),
}

OWN = ("parameters", "buffers", "gradients", "modes of modules", "requires_grad", "hooks",
       "optimizer", "scheduler", "loader", "sampler", "dataset")


@pytest.fixture(scope="module", params=WAYS, ids=lambda way: way.replace(" ", "-"))
def readings_of(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """Audit the file in one way; return everything as it was before and after."""
    way = request.param
    rate, line = WAYS[way]
    folder = tmp_path_factory.mktemp("mine")
    file = folder / "bystander_target.py"
    file.write_text(SOURCE.replace("RATE", rate).replace("END", line), encoding="utf-8")
    patch = pytest.MonkeyPatch()
    patch.chdir(folder)
    patch.setenv("BYSTANDER_KEPT", "kept")
    read = readings()
    try:
        nobody: dict[str, Any] = {"HERE": str(folder)}
        at_first = {name: what(nobody) for name, what in read.items() if name not in OWN}
        target = load(str(file))
        with target.surroundings():
            mine = vars(sys.modules["bystander_target"])
        before = {**{name: what(mine) for name, what in read.items()}, **at_first}
        report: Report | None = None
        try:
            report = audit(target, budget_seconds=math.inf, select=["data", "lr-too-high"])
        except TargetError:
            assert way == "raises at once"
        _check_that_it_went(way, report)
        yield way, before, {name: what(mine) for name, what in read.items()}
    finally:
        patch.undo()


@pytest.mark.parametrize("item", readings())
def test_it_is_as_it_was(
    readings_of: tuple[str, Mapping[str, Any], Mapping[str, Any]], item: str,
) -> None:
    _, before, after = readings_of

    assert after[item] == before[item]


def _of_live(mine: Mapping[str, Any]) -> Target:
    """Return a target that a user made by hand, whose factories hand out their own objects."""
    return Target(
        name="Net", file="", kind="step", make_model=lambda: mine["model"],
        make_train_loader=lambda: mine["train_loader"],
        compute=WithTrainingStep(mine["training_step"]),
        make_optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=0.05),
    )


def _check_that_it_went(way: str, report: Report | None) -> None:
    """Check that the audit has met what the way is about."""
    assert (report is None) == (way == "raises at once")
    if report is None:
        return
    statuses = {seen.status for seen in report.observations}
    reasons = " ".join(seen.reason for seen in report.observations)
    assert report.environment["interrupted"] is (way == "is interrupted")
    if way == "raises later":
        assert "failed" in statuses and "from the user" in reasons
    if way == "ends normally":
        assert "failed" not in statuses, reasons
