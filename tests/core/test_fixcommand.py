"""`audit fix`: a diff of what helped, written only when asked to."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from auditor.cli import main

SICK = '''import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

g = torch.Generator().manual_seed(0)
x = torch.randn(800, 12, generator=g)
y = (x @ torch.randn(12, 4, generator=g)).argmax(1)
train_loader = DataLoader(TensorDataset(x, y), batch_size=50, shuffle=True)
loss_fn = nn.CrossEntropyLoss()


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(12, 32)
        self.out = nn.Linear(32, 4)

    def forward(self, x):
        x = torch.relu(self.hidden(x))  # hidden
        return torch.softmax(self.out(x), dim=1)  # probabilities


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
'''
MENDED = SICK.replace("torch.softmax(self.out(x), dim=1)", "self.out(x)")


def fix(path: Path, *options: str, answer: str = "") -> tuple[int, str]:
    arguments = ["fix", str(path), "--select", "double-softmax", "-q", *options]
    result = CliRunner().invoke(main, arguments, input=answer)
    return result.exit_code, result.output


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.py"
    path.write_text(SICK, encoding="utf-8")
    return path


def test_the_diff_is_shown_and_nothing_is_written(model: Path) -> None:
    code, output = fix(model)

    assert code == 0
    assert "-        return torch.softmax(self.out(x), dim=1)  # probabilities" in output
    assert "+        return self.out(x)  # probabilities" in output
    assert model.read_text(encoding="utf-8") == SICK


def test_applied_it_is_written_and_audited_again(model: Path) -> None:
    code, output = fix(model, "--apply", "--yes")

    assert code == 0
    assert "gone: double-softmax" in output
    assert model.read_text(encoding="utf-8") == MENDED


def test_a_no_leaves_the_file_alone(model: Path) -> None:
    fix(model, "--apply", answer="n\n")

    assert model.read_text(encoding="utf-8") == SICK


def test_a_healthy_file_has_nothing_to_mend(model: Path) -> None:
    model.write_text(MENDED, encoding="utf-8")

    code, output = fix(model)

    assert code == 0
    assert "nothing to mend" in output


def test_what_is_no_file_is_refused() -> None:
    code, output = fix(Path("package.module"))

    assert code == 2
    assert "no Python file" in output
