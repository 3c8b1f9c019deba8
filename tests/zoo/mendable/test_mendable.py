"""`audit fix` on whole files: the diff applies with `patch`, and the mended file audits clean."""

from __future__ import annotations

import difflib
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from auditor import audit
from auditor.cli import main

HERE = Path(__file__).parent
# File -> the rule whose fix is written, and what the lines that change turn into.
FILES = {
    "rate": ("lr-too-high", "LR = ", 1),
    "start": ("init-too-small", "nn.init.xavier_normal_(layer.weight)", 0),
    "loss": ("missing-output-activation",
             "loss = torch.nn.CrossEntropyLoss(reduction='mean')  # expects log-probabilities", 1),
    "output": ("double-softmax", "        nn.Identity(),  # probabilities für alle", 1),
    "order": ("unshuffled-loader", "    shuffle=True,  # reproducible", 1),
    "parameters": ("parameter-not-optimized",
                   "optimizer = optim.Adam(net.parameters(),  # only the head?", 1),
}
SLOW = frozenset({"loss", "start"})


@pytest.mark.zoo
@pytest.mark.skipif(shutil.which("patch") is None, reason="patch is not installed")
@pytest.mark.parametrize("name", sorted(FILES))
def test_a_sick_file_is_mended(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest,
) -> None:
    if name in SLOW and not request.config.getoption("--all-members"):
        pytest.skip("slow: run by `make zoo`")
    rule, line, removed = FILES[name]
    path = Path(shutil.copy(HERE / f"{name}.py", tmp_path))
    before = path.read_bytes().decode()
    monkeypatch.chdir(tmp_path)

    result = CliRunner().invoke(main, ["fix", path.name, "-q", "--budget", "180s"])
    subprocess.run(["patch", "-p0", "--binary"], input=result.stdout_bytes, check=True,
                   capture_output=True)
    after = path.read_bytes().decode()

    assert f"fix: {rule}: " in result.stderr
    changes = [text for text in difflib.ndiff(before.splitlines(True), after.splitlines(True))
               if text[:2] in ("- ", "+ ")]
    assert any(text.startswith("+ ") and line in text for text in changes)
    assert sum(text.startswith("- ") for text in changes) == removed
    assert before.count("\r\n") == 0 or "\n" not in after.replace("\r\n", "")
    report = audit(path.name, budget_seconds=180.0, trials=False)
    assert not [f.rule for f in report.findings if f.severity != "info"]
