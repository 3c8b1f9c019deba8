"""The command line as a user meets it: exit codes, clear messages, files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from auditor.cli import main

HEADER = """
import time, torch
from torch import nn
torch.manual_seed(0)
x = torch.randn(256, 6)
y = (x[:, 0] > 0).long()
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(6, 16)
        self.fc2 = nn.Linear(16, 2)
    def forward(self, x):
        return self.fc2(torch.relu(self.fc1(x)))
def build_model():
    return Net()
train_loader = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(x, y), batch_size=32, shuffle=True)
loss_fn = nn.CrossEntropyLoss()
def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)
"""


def audit(folder: Path, body: str, *arguments: str, command: str = "run") -> Result:
    path = folder / "net.py"
    path.write_text(HEADER + textwrap.dedent(body), encoding="utf-8")
    return CliRunner().invoke(main, [command, str(path), "--select", "data", *arguments])


def test_a_healthy_file_ends_with_zero(tmp_path: Path) -> None:
    result = audit(tmp_path, "")

    assert result.exit_code == 0, result.stderr
    assert "net.py" in result.stdout


def test_an_error_ends_with_one_unless_it_never_fails(tmp_path: Path) -> None:
    sick = "y[:] = 7\n"

    assert audit(tmp_path, sick).exit_code == 1
    assert audit(tmp_path, sick, "--fail-on", "never").exit_code == 0


def test_a_saved_run_is_judged_again_without_measuring(tmp_path: Path) -> None:
    saved = tmp_path / "run.json"
    audit(tmp_path, "y[:] = 7\n", "--save", str(saved), "--quiet")

    again = CliRunner().invoke(main, ["diagnose", str(saved), "--select", "data"])

    assert again.exit_code == 1
    assert "invalid-target" in again.stdout


OWN_PACK = """
category: data
rules:
  - id: own-rule
    since: 0.1.0
    status: preview
    severity: info
    confidence: medium
    for_each: run
    requires: [ASKED]
    when: ASKED > 1
    title: t
    title_pass: p
    message: "{ASKED}"
    why: w
    fixes: []
    references: []
"""


def test_what_a_run_of_an_older_version_did_not_measure_is_said(tmp_path: Path) -> None:
    saved, out = tmp_path / "run.json", tmp_path / "again.json"
    audit(tmp_path, "", "--save", str(saved), "--quiet")
    older = json.loads(saved.read_text())
    asked = "constant_share"
    del older["quantities"][asked]
    for observation in older["observations"]:
        observation["measurements"] = [
            one for one in observation["measurements"] if one["name"] != asked]
    saved.write_text(json.dumps(older))

    again = CliRunner().invoke(main, [
        "diagnose", str(saved), "--select", "data", "--format", "json", "-o", str(out)])

    assert again.exit_code == 0, again.stderr
    verdict = json.loads(out.read_text())["verdicts"]["constant-feature"]
    assert verdict["verdict"] == "not-measured" and asked in verdict["reason"]

    # Of a pack that is given by hand it is a slip.
    own = tmp_path / "own.yaml"
    own.write_text(OWN_PACK.replace("ASKED", asked))
    refused = CliRunner().invoke(main, ["diagnose", str(saved), "--rules", str(own)])
    assert refused.exit_code == 2 and f"needs '{asked}'" in refused.stderr


def test_the_json_report_is_strict_and_of_schema_1(tmp_path: Path) -> None:
    result = audit(tmp_path, "", "--format", "json", "--quiet", "-o", str(tmp_path / "r.json"))

    report = json.loads((tmp_path / "r.json").read_text(), parse_constant=pytest.fail)
    assert result.exit_code == 0
    assert report["schema"] == 1


@pytest.mark.parametrize(("body", "says"), [
    ("def build_model(:\n    pass", "SyntaxError"),
    ("del build_model, Net", "model"),
    ("def build_model(): return nn.Linear(7, 2)", "mat1 and mat2"),
    ("train_loader = []", "empty"),
    ("loss_fn = nn.CrossEntropyLoss(reduction='none')", "no scalar"),
    ("raise SystemExit(3)", "ended the program"),
    ("def build_model(): raise ValueError('no such size')", "no such size"),
])
def test_a_target_that_cannot_run_ends_with_three_and_no_traceback(
    tmp_path: Path, body: str, says: str,
) -> None:
    result = audit(tmp_path, body)

    assert result.exit_code == 3
    assert says in result.stderr
    assert "Traceback" not in result.stderr + result.stdout


def test_a_loader_that_hangs_is_stopped_with_the_line_it_hangs_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("auditor.store.FETCH_SECONDS", 0.5)
    body = """
    def train_loader():
        time.sleep(60)
        yield x[:8], y[:8]
    """

    result = audit(tmp_path, body)

    assert result.exit_code == 3
    assert "did not end within" in result.stderr
    assert "time.sleep(60)" in result.stderr


@pytest.mark.parametrize("arguments", [
    ["run", "net.py", "--select", "dying-rely"],
    ["run", "net.py", "--budget", "soon"],
    ["run", "net.py", "--format", "word"],
    ["run", "net.py", "-o", "report.docx"],
    ["run", "net.py", "--threshold", "dying-relu=1"],
    ["run", "net.py", "--no-such-option"],
    ["explain", "dying-rely"],
    ["diagnose", "nothing.json"],
])
def test_wrong_usage_ends_with_two(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, arguments)

    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output


def test_a_missing_file_is_named_with_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(HEADER)

    result = CliRunner().invoke(main, ["run", str(tmp_path / "modle.py")])

    assert result.exit_code == 3
    assert "model.py" in result.stderr


def test_explain_prints_the_page_with_the_effective_limits() -> None:
    result = CliRunner().invoke(main, ["explain", "dying-relu"])

    assert result.exit_code == 0
    assert "## When it may be wrong" in result.stdout
    assert "Limits" in result.stdout


@pytest.mark.sources
@pytest.mark.skipif(not hasattr(signal, "SIGINT"), reason="needs signals")
@pytest.mark.parametrize("in_process", ["", "1"])
def test_an_interrupted_audit_still_writes_its_report(tmp_path: Path, in_process: str) -> None:
    path = tmp_path / "net.py"
    path.write_text(HEADER + "class Slow(Net):\n    def forward(self, x):\n"
                    "        time.sleep(0.2)\n        return super().forward(x)\n"
                    "build_model = Slow\n", encoding="utf-8")
    report = tmp_path / "r.json"
    running = subprocess.Popen(
        [sys.executable, "-m", "auditor", "run", str(path), "-o", str(report)],
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, cwd=tmp_path,
        env={**os.environ, "AUDITOR_IN_PROCESS": in_process},
    )
    assert running.stderr is not None
    for line in running.stderr:
        if line.startswith("[2/"):
            break
    time.sleep(0.5)
    running.send_signal(signal.SIGINT)
    running.stderr.read()

    assert running.wait(timeout=60) == 130
    assert json.loads(report.read_text())["environment"]["interrupted"] is True
