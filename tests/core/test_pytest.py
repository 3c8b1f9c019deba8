"""The plugin for pytest, in a pytest of its own process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

NET = """
import torch
from torch import nn
x = torch.randn(128, 6)
y = torch.arange(128) % 2
def build_model():
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))
train_loader = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(x, y), batch_size=32, shuffle=True)
loss_fn = nn.CrossEntropyLoss()
def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)
"""
SETTINGS = '[tool.auditor]\nselect = ["data"]\n'


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", *arguments]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return result.returncode, result.stdout + result.stderr


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    (tmp_path / "sick.py").write_text(NET + "y[:] = 7\n", encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(SETTINGS, encoding="utf-8")
    return tmp_path


def test_every_rule_is_a_test(project: Path) -> None:
    code, output = run(project, "--audit", "net.py", "--audit", "sick.py")

    assert code == 1
    assert "PASSED net.py::invalid-target" in output
    assert "FAILED sick.py::invalid-target" in output
    assert "SKIPPED" in output and "not applicable" in output
    assert "error[invalid-target]: " in output
    assert "Traceback" not in output and "pytest.py:" not in output.partition("short test")[0]


@pytest.mark.sources
def test_the_mark_selects_the_rules_alone(project: Path) -> None:
    (project / "test_other.py").write_text("def test_other():\n    assert False\n")
    code, output = run(project, "--audit", "net.py", "-m", "audit")

    assert code == 0, output
    assert "1 deselected" in output


@pytest.mark.sources
def test_the_fixture_fails_at_findings_and_returns_the_report(project: Path) -> None:
    (project / "test_model.py").write_text(
        'def test_healthy(audit):\n    assert audit("net.py").verdict == "pass"\n'
        'def test_sick(audit):\n    audit("sick.py")\n'
        'def test_allowed(audit):\n'
        '    assert audit("sick.py", fail_on="never").verdict == "fail"\n')
    code, output = run(project)

    assert code == 1
    assert "FAILED test_model.py::test_sick" in output
    assert output.count("PASSED test_model.py::") == 2
    assert "error[invalid-target]" in output


def test_pytest_starts_without_torch(project: Path) -> None:
    (project / "test_light.py").write_text(
        "import sys\ndef test_light():\n    assert 'torch' not in sys.modules\n"
        "    assert 'pydantic' not in sys.modules\n")

    code, output = run(project)
    assert code == 0, output


def test_a_wrong_setting_is_an_error_of_usage(project: Path) -> None:
    (project / "pyproject.toml").write_text(SETTINGS.replace("data", "dat"))
    code, output = run(project, "--audit", "net.py")

    assert code == 4
    assert "did you mean 'data'?" in output


@pytest.mark.sources
def test_a_target_that_cannot_run_fails_with_its_reason(project: Path) -> None:
    (project / "net.py").write_text("x = 1\n")
    code, output = run(project, "--audit", "net.py")

    assert code == 1
    assert "a model was not found" in output
