"""The action, the hooks and the demo repository, run as far as they can be without the service."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from auditor.cli import main

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "examples" / "ci"
QUICK = "--profile quick --select data,wiring"

pytestmark = pytest.mark.skipif(
    not (ROOT / "action.yml").is_file() or shutil.which("bash") is None,
    reason="looks at the checkout, and needs bash",
)


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.fixture
def runner(tmp_path: Path) -> dict[str, str]:
    """Return the environment that a runner of GitHub gives a step."""
    programs = str(Path(sys.executable).parent)
    return {
        **os.environ, "AUDITOR_IN_PROCESS": "",
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "GITHUB_OUTPUT": str(tmp_path / "output.txt"), "RUNNER_TEMP": str(tmp_path),
    }


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DEMO, tmp_path / "repository"))


def step(script: str, folder: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-e", "-o", "pipefail", "-c", script], cwd=folder, env=env,
                          capture_output=True, text=True)


def break_labels(folder: Path) -> None:
    script = folder / "train.py"
    script.write_text(script.read_text().replace("generator=generator), kinds)",
                                                 "generator=generator), kinds + 7)"))


def steps(flow: Any) -> dict[str, str]:
    return {item["name"]: item["run"] for item in flow["jobs"]["audit"]["steps"] if "run" in item}


def test_the_workflow_of_the_demo_lets_a_healthy_model_pass_and_compares(
    demo: Path, runner: dict[str, str],
) -> None:
    scripts = steps(read(demo / ".github/workflows/audit.yml"))
    audit = f"{scripts['Audit'].strip()} {QUICK}"

    first = step(audit, demo, runner)
    assert first.returncode == 0, first.stdout + first.stderr
    assert step(scripts["Keep the report of main"], demo, runner).returncode == 0
    break_labels(demo)
    second = step(audit, demo, runner)
    compared = step(scripts["Compare with main"], demo, runner)

    assert second.returncode == 1
    assert re.search(r"^::error file=.*title=error%3A invalid-target::", second.stdout, re.M)
    assert compared.returncode == 1
    summary = Path(runner["GITHUB_STEP_SUMMARY"]).read_text(encoding="utf-8")
    assert "No fault was found in `audit_target.py`" in summary
    assert "| ❌ new | `invalid-target` |" in summary
    assert all((demo / name).is_file() for name in ("audit.sarif", "audit.html", "audit.json"))


def test_the_demo_is_what_init_writes(demo: Path, tmp_path: Path) -> None:
    shutil.copy(demo / "train.py", tmp_path)

    assert CliRunner().invoke(main, ["init", str(tmp_path / "train.py")]).exit_code == 0
    for name in ("audit_target.py", "audit.yaml"):
        assert (tmp_path / name).read_text() == (demo / name).read_text()


def test_the_action_writes_its_outputs_and_ends_with_the_code(
    demo: Path, runner: dict[str, str],
) -> None:
    action = read(ROOT / "action.yml")
    (run,) = (item for item in action["runs"]["steps"] if item.get("id") == "run")
    given = {"TARGET": "audit_target.py", "PROFILE": "quick", "FAIL_ON": "", "BASELINE": "",
             "ARGS": "--select data,wiring"}
    assert set(given) == set(run["env"])

    assert step(run["run"], demo, {**runner, **given}).returncode == 0
    break_labels(demo)
    assert step(run["run"], demo, {**runner, **given}).returncode == 1
    outputs = dict(line.split("=", 1)
                   for line in Path(runner["GITHUB_OUTPUT"]).read_text().splitlines())
    assert outputs["exit-code"] == "1"
    assert {f"steps.run.outputs.{name}" for name in outputs} == {
        re.sub(r"[${} ]", "", item["value"]) for item in action["outputs"].values()}
    assert all(Path(outputs[name]).is_file() for name in ("sarif", "html", "json"))


def test_an_input_cannot_become_a_command(demo: Path, runner: dict[str, str]) -> None:
    action = read(ROOT / "action.yml")
    for item in action["runs"]["steps"]:
        assert "${{" not in item.get("run", "")
    (run,) = (item for item in action["runs"]["steps"] if item.get("id") == "run")
    hostile = {"TARGET": "$(touch owned); touch owned #.py", "PROFILE": "", "FAIL_ON": "",
               "BASELINE": "", "ARGS": "`touch owned` $(touch owned)"}

    step(run["run"], demo, {**runner, **hostile})
    assert not list(demo.rglob("owned"))


@pytest.mark.parametrize("path", [ROOT / "action.yml", DEMO / ".github/workflows/audit.yml"])
def test_actions_of_others_are_pinned_by_hash(path: Path) -> None:
    used = re.findall(r"uses: *(\S+)", path.read_text(encoding="utf-8"))

    assert used and all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action) for action in used)


def test_the_workflow_may_write_nothing_but_its_findings() -> None:
    flow = read(DEMO / ".github/workflows/audit.yml")

    assert flow["permissions"] == {"contents": "read"}
    assert flow["jobs"]["audit"]["permissions"] == {"contents": "read",
                                                    "security-events": "write"}


@pytest.mark.parametrize("path", [ROOT / ".pre-commit-hooks.yaml",
                                  DEMO / ".pre-commit-config.yaml"])
def test_the_hooks_call_a_command_that_exists(path: Path) -> None:
    found = read(path)
    hooks = found["repos"][0]["hooks"] if isinstance(found, dict) else found

    for hook in hooks:
        assert {"id", "name", "entry", "language"} <= set(hook)
        assert hook["pass_filenames"] is False and hook["require_serial"] is True
        program, *arguments = hook["entry"].split()
        assert program == "audit"
        assert CliRunner().invoke(main, [*arguments, "--help"]).exit_code == 0


def test_the_test_of_the_demo_passes(demo: Path) -> None:
    result = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
                            cwd=demo, capture_output=True, text=True)

    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(("schema", "path"), [
    ("vendor.github-actions", ROOT / "action.yml"),
    ("vendor.github-workflows", DEMO / ".github/workflows/audit.yml"),
])
def test_the_service_would_read_the_file(schema: str, path: Path) -> None:
    result = subprocess.run([sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema,
                             str(path)], capture_output=True, text=True)

    assert result.returncode == 0, result.stdout + result.stderr


def test_pre_commit_reads_hooks_and_configuration() -> None:
    for command, path in (("validate-manifest", ROOT / ".pre-commit-hooks.yaml"),
                          ("validate-config", DEMO / ".pre-commit-config.yaml")):
        result = subprocess.run([sys.executable, "-m", "pre_commit", command, str(path)],
                                capture_output=True, text=True)
        assert result.returncode == 0, result.stdout + result.stderr
