"""`--open`: which page a browser is sent to, and that nothing is opened where nobody looks."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from auditor.cli import main

JUDGED = ("--select", "non-finite-input")
TARGET = """
import torch
x = torch.randn(64, 6)
x[3, 2] = float("nan")
model = torch.nn.Linear(6, 2)
train_loader = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(x, (x[:, 0] > 0).long()), batch_size=16)
loss_fn = torch.nn.CrossEntropyLoss()
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the saved run of a target with one fault."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "net.py").write_text(TARGET, encoding="utf-8")
    CliRunner().invoke(main, ["run", str(folder / "net.py"), "--select", "non-finite-input",
                              "--no-trials", "--quiet", "--save", str(folder / "run.json")])
    return (folder / "run.json").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def saved(run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lay the saved run, and nothing else, into the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("run.json").write_text(run, encoding="utf-8")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Return the addresses that the browser, which stays closed, is sent to."""
    addresses: list[str] = []

    def take(address: str) -> bool:
        addresses.append(address)
        return True

    monkeypatch.setattr("webbrowser.open", take)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    return addresses


def draw(*arguments: str) -> Result:
    return CliRunner().invoke(
        main, ["diagnose", "run.json", *JUDGED, "--fail-on", "never", *arguments])


def test_a_saved_run_is_drawn_as_a_page_without_measuring(tmp_path: Path) -> None:
    page = tmp_path / "report.html"

    result = draw("-o", str(page), "--quiet")

    assert result.exit_code == 0, result.output
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_page_that_was_asked_for_is_opened(opened: list[str], tmp_path: Path) -> None:
    page = tmp_path / "r.html"

    result = draw("-o", str(tmp_path / "r.json"), "-o", str(page), "--open")

    assert opened == [page.as_uri()]
    assert str(page) in result.stderr


def test_without_a_page_one_is_written_and_its_place_is_told(
    opened: list[str], tmp_path: Path,
) -> None:
    result = draw("--open")

    (page,) = tmp_path.glob("audit-*/report.html")
    assert opened == [page.as_uri()]
    assert str(page) in result.stderr
    assert "<!doctype html>" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["CI", "GITHUB_ACTIONS"])
def test_in_ci_nothing_is_opened(
    name: str, opened: list[str], monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(name, "true")

    result = draw("--open", "--format", "json")

    assert opened == []
    assert "in CI it is not opened" in result.stderr


def test_a_missing_browser_is_said(
    opened: list[str], monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("webbrowser.open", lambda address: False)

    result = draw("--open")

    assert result.exit_code == 0
    assert "no browser was found" in result.stderr


def test_the_exit_code_is_that_of_the_findings(opened: list[str]) -> None:
    result = CliRunner().invoke(main, ["diagnose", "run.json", *JUDGED, "--open"])

    assert result.exit_code == 1
