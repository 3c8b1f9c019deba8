"""What was measured before an audit ended is told, kept, read again and judged. No torch."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from sample_reports import failing

from auditor import worker
from auditor.errors import AuditorError, TargetError
from auditor.finding import Fix
from auditor.journal import Record, Sender
from auditor.observation import Measurement, Observation, Quantity
from auditor.progress import Progress
from auditor.report import ProbeRun, Report
from auditor.request import Request, request
from auditor.resume import Kept
from auditor.salvage import salvaged
from auditor.stacks import frame_in

DATA = Observation("data", measurements=(Measurement("samples", 3.0),), seconds=0.5)
SCENE = Report(
    "incomplete", target={"file": "net.py"},
    probes=(ProbeRun("data", "not-run", yields=("samples",)),
            ProbeRun("labels", "not-run", yields=("target_min",))),
    quantities={name: Quantity(name, "", "says") for name in ("samples", "target_min")})


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Request:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUDITOR_CACHE", str(tmp_path / "cache"))
    (tmp_path / "net.py").write_text("x = 1\n")
    return request("net.py", {"select": ["data"]})


def heard(*, judged: Report | None = None) -> Record:
    """Return what a parent has heard of an audit that was at its second probe."""
    record = Record()
    sender = Sender(record.hear, {}, lambda: {"/data/a.csv"})
    sender.began(0, SCENE)
    sender.observed(0, DATA)
    sender.tell(Progress("labels", "looks", 1, 2, float("inf")))
    if judged is not None:
        sender.judged(judged)
        sender.tell(Progress("trials", "tries", 0, 1, 5.0))
    return record


def test_what_a_sender_tells_is_what_is_heard() -> None:
    record = heard()

    assert record.scenes == {0: SCENE}
    assert record.observations == {0: {"data": DATA}}
    assert record.opened == {"/data/a.csv"}
    assert not record.is_over


@pytest.mark.parametrize(("problem", "code"), [
    (TargetError("no", where="net.py:1", hint="do"), 3), (KeyError("x"), 4),
])
def test_an_error_of_the_worker_is_the_same_for_the_parent(
    problem: Exception, code: int,
) -> None:
    record = Record()
    Sender(record.hear, {}, set).failed(problem, "the trace")

    assert isinstance(record.problem, AuditorError) and record.problem.exit_code == code
    assert str(problem) in str(record.problem)
    assert "the trace" in str(record.problem.__cause__)


def test_the_probe_at_the_end_fails_and_the_rest_is_not_reached(asked: Request) -> None:
    report = salvaged(heard(), asked, "it crashed", seconds=2.0)

    assert report.environment["stopped"] == "it crashed during the probe labels"
    assert {run.name: run.status for run in report.probes} == {
        "data": "measured", "labels": "failed"}
    assert report.verdict == "incomplete"
    assert {found.verdict for found in report.verdicts.values()} == {"not-measured"}


def test_fixes_that_were_being_tried_are_untried_with_the_reason(asked: Request) -> None:
    before = failing()
    untried = replace(before, findings=tuple(
        replace(finding, fixes=tuple(Fix(fix.summary, remedy="some") for fix in finding.fixes))
        for finding in before.findings))

    report = salvaged(heard(judged=untried), asked, "it crashed", seconds=2.0)

    assert [finding.rule for finding in report.findings] == [f.rule for f in before.findings]
    reasons = {fix.trial.reason for finding in report.roots if finding.is_open
               and finding.severity != "info" for fix in finding.fixes}
    assert reasons == {"it crashed while fixes were tried"}


def test_nothing_heard_is_a_report_too(asked: Request) -> None:
    report = salvaged(Record(), asked, "it was interrupted", seconds=0.1, interrupted=True)

    assert report.verdict == "incomplete" and report.environment["interrupted"] is True
    assert len(report.verdicts) == len(asked.rules)


def test_a_kept_run_is_read_again_until_a_file_changes(asked: Request, tmp_path: Path) -> None:
    kept = Kept(asked)
    kept.begin()
    kept.keep(0, DATA, [str(tmp_path / "net.py")])
    kept.keep(0, Observation("labels", status="failed", reason="it crashed"), [])

    known, note = Kept(asked).read()
    assert known == {0: {"data": DATA}}
    assert note.startswith("1 observations")

    (tmp_path / "net.py").write_text("x = 2\n")
    known, note = Kept(asked).read()
    assert not known and "net.py has changed" in note


def test_a_run_of_other_settings_is_not_resumed_and_told(asked: Request, tmp_path: Path) -> None:
    kept = Kept(asked)
    kept.begin()
    kept.keep(0, DATA, [])

    assert "other settings (seed)" in Kept(
        request("net.py", {"select": ["data"], "seed": 3})).read()[1]
    kept.end()
    assert "no run of this target" in kept.read()[1]


@pytest.mark.parametrize("content", ["", "[]", '{"probe": 3}', "nonsense"])
def test_a_damaged_kept_run_is_measured_anew(asked: Request, content: str) -> None:
    kept = Kept(asked)
    kept.begin()
    kept.keep(0, DATA, [])
    folder = next(Path(os.environ["AUDITOR_CACHE"]).glob("runs/*"))
    (folder / "0-data.json").write_text(content)

    known, note = kept.read()
    assert not known and "cannot be read" in note


def test_a_folder_that_cannot_be_written_costs_nothing_else(
    asked: Request, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AUDITOR_CACHE", "/proc/nothing")
    kept = Kept(asked)
    kept.begin()
    kept.keep(0, DATA, [])

    assert not kept.is_there


def test_the_users_line_is_found_in_the_stack_of_a_crash(tmp_path: Path) -> None:
    stack = (
        'Thread 0x01 (most recent call first):\n  File "/usr/lib/python3/threading.py", line 3 in '
        f'run\nCurrent thread 0x02 (most recent call first):\n  File "{torch_file()}", line 2 in '
        f'linear\n  File "{tmp_path}/net.py", line 2 in forward\n'
        f'  File "{worker.__file__}", line 9 in work\n')
    (tmp_path / "net.py").write_text("a\nboom()\n")

    assert frame_in(stack.encode()).endswith("net.py:2 (`boom()`)")
    assert frame_in(b"") == ""


def torch_file() -> str:
    import importlib.util

    found = importlib.util.find_spec("torch")
    assert found is not None and found.origin is not None
    return found.origin
