"""The gate: what lets a run pass, what lets it fail, and what it leaves behind in CI."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from auditor.cli import main

NET = """
import torch
from torch import nn
from numbers_of_mine import COUNT
torch.manual_seed(0)
x = torch.randn(COUNT, 6)
y = torch.tensor([int(line) for line in open("labels.txt")])
def build_model():
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))
train_loader = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(x, y), batch_size=32, shuffle=True)
loss_fn = nn.CrossEntropyLoss()
def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)
"""
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and /dev/full")
AGAIN = "Nothing has changed since an earlier run"


def project(folder: Path, labels: str = "01") -> Path:
    """Write a target of two files and one file of data; labels other than 0 and 1 are invalid."""
    (folder / "net.py").write_text(NET, encoding="utf-8")
    (folder / "numbers_of_mine.py").write_text("COUNT = 128\n", encoding="utf-8")
    (folder / "labels.txt").write_text("\n".join(labels * 64)[:255], encoding="utf-8")
    return folder


def audit(*arguments: str, command: str = "run") -> Result:
    return CliRunner().invoke(main, [command, *arguments])


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Return saved runs of a healthy and a sick project."""
    runs = {}
    with pytest.MonkeyPatch.context() as patch:
        for name, labels in (("healthy", "01"), ("sick", "79")):
            folder = project(tmp_path_factory.mktemp(name), labels)
            patch.chdir(folder)
            runs[name] = str(folder / "run.json")
            audit("net.py", "--select", "data", "--save", runs[name], "--quiet")
    yield runs


def diagnose(path: str, *arguments: str) -> Result:
    return audit(path, "--select", "data", *arguments, command="diagnose")


def test_a_known_finding_is_shown_and_does_not_fail(saved: dict[str, str], here: Path) -> None:
    assert diagnose(saved["sick"]).exit_code == 1
    written = diagnose(saved["sick"], "--write-baseline", "known.json")
    assert written.exit_code == 0
    assert "known.json holds the findings of this run" in written.stderr

    result = diagnose(saved["sick"], "--baseline", "known.json")
    assert result.exit_code == 0
    assert "known  invalid-target" in result.stdout
    assert "No new fault was found" in result.stdout


def test_a_baseline_in_the_configuration_counts(saved: dict[str, str], here: Path) -> None:
    folder = Path(saved["sick"]).parent
    diagnose(saved["sick"], "--write-baseline", str(folder / "known.json"))
    config = folder / "audit.yaml"
    config.write_text("baseline: known.json\n", encoding="utf-8")
    try:
        assert diagnose(saved["sick"]).exit_code == 0
    finally:
        config.unlink()


def test_strict_fails_at_what_could_not_be_measured(saved: dict[str, str]) -> None:
    select = ("--select", "data,lr-too-high")
    assert audit(saved["healthy"], *select, command="diagnose").exit_code == 0

    result = audit(saved["healthy"], *select, "--strict", command="diagnose")
    assert result.exit_code == 1
    assert "could not be made: lr-too-high" in result.stderr


def test_strict_passes_where_everything_was_measured(saved: dict[str, str]) -> None:
    assert diagnose(saved["healthy"], "--strict").exit_code == 0


def test_one_run_writes_several_formats(saved: dict[str, str], here: Path) -> None:
    names = ["r.sarif", "r.junit.xml", "r.md", "r.html", "r.json", "gl-code-quality-report.json"]

    diagnose(saved["sick"], *(part for name in names for part in ("-o", name)), "--quiet")

    assert all((here / name).stat().st_size > 100 for name in names)
    results = json.loads((here / "r.sarif").read_text())["runs"][0]["results"]
    assert "invalid-target" in {result["ruleId"] for result in results}


@linux_only
def test_what_cannot_be_written_is_said_and_shown_and_the_rest_is_written(
    saved: dict[str, str], here: Path,
) -> None:
    for name, code in (("healthy", 2), ("sick", 1)):
        result = diagnose(saved[name], "--quiet", "-o", "/proc/r.html", "-o", "r.json")

        assert result.exit_code == code
        assert "/proc/r.html cannot be written" in result.stderr
        assert "rules:" in result.stdout
        assert (here / "r.json").is_file()


@linux_only
@pytest.mark.parametrize(("place", "code", "says"), [
    ("> /dev/full", 2, "The report cannot be printed: No space left on device."),
    ("| true", 0, ""),
])
def test_a_standard_output_that_takes_nothing_is_no_traceback(
    saved: dict[str, str], place: str, code: int, says: str,
) -> None:
    command = f"{sys.executable} -m auditor diagnose {saved['healthy']} --select data {place}"

    result = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True,
                            text=True)

    assert result.returncode == code
    assert says in result.stderr
    assert "Traceback" not in result.stderr and "Exception ignored" not in result.stderr


def test_in_github_actions_annotations_and_a_summary_come_out(
    saved: dict[str, str], here: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(here / "summary.md"))

    result = diagnose(saved["sick"])

    lines = result.stdout.splitlines()
    assert lines[0].startswith("::stop-commands::")
    commands = lines[lines.index(f"::{lines[0].removeprefix('::stop-commands::')}::") + 1:]
    assert commands and all(line.startswith(("::error ", "::warning ", "::notice "))
                            for line in commands)
    assert "invalid-target" in (here / "summary.md").read_text()


def test_a_format_that_was_asked_for_stays_alone_on_stdout(
    saved: dict[str, str], here: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")

    assert json.loads(diagnose(saved["sick"], "--format", "json").stdout)["verdict"] == "fail"
    assert diagnose(saved["sick"], "--format", "github").stdout.startswith("::error ")


def test_the_target_of_the_configuration_is_audited(here: Path) -> None:
    project(here)
    (here / "pyproject.toml").write_text('[tool.auditor]\ntarget = "net.py"\nselect = ["data"]\n')

    result = audit()

    assert result.exit_code == 0, result.stderr
    assert "net.py" in result.stdout


def test_without_any_target_the_message_says_what_to_do(here: Path) -> None:
    result = audit()

    assert result.exit_code == 2
    assert "[tool.auditor]" in result.stderr


def test_an_unchanged_target_is_not_measured_again(here: Path) -> None:
    project(here)
    first, second = (audit("net.py", "--select", "data") for _ in range(2))

    assert AGAIN not in first.stdout
    assert AGAIN in " ".join(second.stdout.split())
    assert AGAIN not in audit("net.py", "--select", "data", "--no-cache").stdout


@pytest.mark.parametrize("changed", ["net.py", "numbers_of_mine.py", "labels.txt"])
def test_a_change_of_any_file_that_was_read_counts(here: Path, changed: str) -> None:
    project(here)
    audit("net.py", "--select", "data")
    text = (here / changed).read_text()
    (here / changed).write_text(text[1:] + "\n" if changed == "labels.txt" else text + "# new\n")

    assert AGAIN not in audit("net.py", "--select", "data").stdout


@pytest.mark.parametrize("arguments", [("--seed", "1"), ("--budget", "50s"),
                                       ("--profile", "quick"), ("--ignore", "class-imbalance")])
def test_another_question_is_measured_anew(here: Path, arguments: tuple[str, ...]) -> None:
    project(here)
    audit("net.py", "--select", "data")

    assert AGAIN not in audit("net.py", "--select", "data", *arguments).stdout


def test_limits_are_judged_on_the_measurements_that_were_kept(here: Path) -> None:
    project(here)
    first = audit("net.py", "--select", "data")
    again = audit("net.py", "--select", "data", "--threshold", "class-imbalance.rare=10")

    assert AGAIN in " ".join(again.stdout.split()), again.stderr
    assert "[class-imbalance]" in again.stdout
    assert "[class-imbalance]" not in first.stdout


def code_and_torch(*arguments: str) -> str:
    """Return the exit code of a command of its own process, and whether it imported torch."""
    program = (f"import sys\nfrom auditor.cli import main\ntry:\n    main({list(arguments)!r})\n"
               "except SystemExit as end:\n    print(end.code, 'torch' in sys.modules)")
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    return result.stdout.splitlines()[-1]


def test_measurements_that_were_kept_are_shown_without_torch(here: Path) -> None:
    project(here)
    audit("net.py", "--select", "data")

    assert code_and_torch("run", "net.py", "--select", "data") == "0 False"


def test_a_saved_run_is_judged_without_torch(saved: dict[str, str]) -> None:
    assert code_and_torch("diagnose", saved["sick"], "--select", "data") == "1 False"


def test_the_quick_profile_says_what_it_leaves_out(here: Path) -> None:
    project(here)
    result = audit("net.py", "--select", "data,lr-too-high", "--profile", "quick")

    assert result.exit_code == 0
    assert "Left out: lr-too-high" in " ".join(result.stdout.split())


def test_the_quick_profile_alone_cannot_judge_a_rule_that_needs_trials(here: Path) -> None:
    project(here)

    result = audit("net.py", "--select", "lr-too-high", "--profile", "quick")
    assert result.exit_code == 2
    assert "--profile standard" in result.stderr


def test_the_thorough_profile_measures_under_three_seeds(here: Path) -> None:
    project(here)
    audit("net.py", "--select", "data", "--profile", "thorough", "--save", "r.json")

    report = json.loads((here / "r.json").read_text())
    assert report["environment"]["seeds"] == 3
    assert any("median over 3 seeds" in note for note in report["notes"])
