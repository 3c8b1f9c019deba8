"""`audit config`: the settings in effect, with their origin; and the schema for editors."""

from __future__ import annotations

import json
import re
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

from auditor.cli import main

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TOML = """\
[tool.auditor]
target = "net.py"
profile = "quick"
fail-on = "warning"
strict = true
ignore = ["batch"]
[tool.auditor.thresholds.dying-relu]
max_dead_share = 0.75
[tool.auditor.severity]
lr-too-high = "warning"
"""
TABLE = '[[tool.auditor.ignore]]\nrule = "dying-relu"\nlayers = "a.*"\nreason = "frozen"\n'


def shown(folder: Path, text: str) -> Result:
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    return CliRunner().invoke(main, ["config", str(folder)])


def rows(result: Result) -> dict[str, tuple[str, str]]:
    """Return setting -> value and the last part of its origin."""
    found = {}
    for line in result.stdout.splitlines()[2:]:
        name, value, *origin = re.split(r"  +", line)
        found[name] = (value, origin[0].rpartition("/")[2] if origin else "")
    return found


def test_every_value_has_its_origin(tmp_path: Path) -> None:
    found = rows(shown(tmp_path, TOML))

    assert found["profile"] == ("quick", "pyproject.toml:3")
    assert found["fail-on"] == ("warning", "pyproject.toml:4")
    assert found["strict"] == ("yes", "pyproject.toml:5")
    assert found["budget"] == ("30s", "profile quick")
    assert found["seed"] == ("0", "default")
    assert found["ignore"] == ("batch (not judged)", "pyproject.toml:6")
    assert found["dying-relu.max_dead_share"][1] == "pyproject.toml:8"
    assert found["severity.lr-too-high"][0].startswith("warning (pack: ")


def test_a_table_is_shown_with_its_reason(tmp_path: Path) -> None:
    found = rows(shown(tmp_path, TABLE))

    assert found["ignore"] == ("dying-relu in a.* (frozen)", "pyproject.toml:1")


def test_without_a_file_the_defaults_are_shown(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["config", str(tmp_path)])

    assert "these are the defaults" in result.stdout


def test_a_mistake_ends_with_two_and_its_line(tmp_path: Path) -> None:
    result = shown(tmp_path, TOML.replace("strict", "strickt"))

    assert result.exit_code == 2
    assert "pyproject.toml:5:" in result.stderr


def test_the_schema_that_is_installed_is_the_one_of_the_code() -> None:
    installed = files("auditor").joinpath("config.schema.json").read_text(encoding="utf-8")

    assert CliRunner().invoke(main, ["config", "--schema"]).stdout == installed, (
        "audit config --schema > auditor/config.schema.json")


@pytest.mark.parametrize("text", [TOML, TABLE])
def test_the_schema_takes_what_the_code_takes(text: str) -> None:
    schema = json.loads(CliRunner().invoke(main, ["config", "--schema"]).stdout)
    Draft202012Validator.check_schema(schema)

    Draft202012Validator(schema).validate(tomllib.loads(text)["tool"]["auditor"])


def test_the_schema_refuses_an_unknown_key() -> None:
    schema = json.loads(CliRunner().invoke(main, ["config", "--schema"]).stdout)

    assert not Draft202012Validator(schema).is_valid({"budgit": "3s"})
