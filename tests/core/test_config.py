"""The user's settings: where they are found, what is refused, and which limit counts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_rules import rule

from auditor.config import (
    Config,
    check_config,
    chosen_rules,
    load_config,
    overrides,
    parse_seconds,
    parse_thresholds,
)
from auditor.errors import ConfigError, UsageError
from auditor.scene import Override
from auditor.tomlfile import read_table

RULES = (
    rule("dying-relu", "x > most", thresholds="{most: {default: 0.5, unit: share, source: s}}"),
    rule("lr-too-high", category="learning-rate"),
    rule("lr-too-low", category="learning-rate"),
)
TOML = """\
[project]
name = "mine"

[tool.auditor]
model = "build"
budget = "2m"
seed = 3
fail-on = "warning"
ignore = ["lr-too-low"]
rules = ["packs/mine.yaml"]

[tool.auditor.thresholds.dying-relu]
most = 0.7

[tool.auditor.severity]
lr-too-high = "warning"
"""


def config(folder: Path, text: str, name: str = "pyproject.toml") -> Config:
    (folder / name).write_text(text, encoding="utf-8")
    return load_config(folder)


def test_settings_are_read_from_pyproject(tmp_path: Path) -> None:
    found = config(tmp_path, TOML)

    assert found.names == {"model": "build"}
    assert (found.budget_seconds, found.seed, found.fail_on) == (120.0, 3, "warning")
    assert (found.select, found.ignore) == ((), ("lr-too-low",))
    assert found.thresholds == {"dying-relu": {"most": 0.7}}
    assert found.severities == {"lr-too-high": "warning"}
    assert found.rules == (tmp_path / "packs" / "mine.yaml",)


def test_the_same_settings_can_stand_in_audit_yaml(tmp_path: Path) -> None:
    found = config(tmp_path, "fail_on: never\nbudget: 90\nthresholds: {dying-relu: {most: 1e-1}}\n",
                   "audit.yaml")

    assert (found.fail_on, found.budget_seconds) == ("never", 90.0)
    assert found.thresholds == {"dying-relu": {"most": 0.1}}


def test_the_nearest_folder_with_settings_counts(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    config(tmp_path, "[tool.auditor]\nseed = 1\n")
    config(tmp_path / "a", "[project]\nname = 'x'\n")

    assert load_config(inner).seed == 1
    assert config(tmp_path / "a", "seed: 2\n", "audit.yaml").seed == 2
    assert load_config(inner).seed == 2


def test_beside_each_other_audit_yaml_counts_and_a_note_says_so(tmp_path: Path) -> None:
    config(tmp_path, "[tool.auditor]\nseed = 1\n")
    found = config(tmp_path, "seed: 2\n", "audit.yaml")

    assert found.seed == 2
    assert len(found.notes) == 1


def test_without_settings_there_are_none(tmp_path: Path) -> None:
    assert load_config(tmp_path).seed is None
    assert config(tmp_path, "# nothing yet\n", "audit.yaml").seed is None


def test_a_broken_file_that_is_not_about_us_is_left_alone(tmp_path: Path) -> None:
    assert config(tmp_path, "[project\n").seed is None


@pytest.mark.parametrize(("old", "new", "message", "line"), [
    ("seed = 3", "sed = 3", "unknown key 'sed'; did you mean 'seed'?", 7),
    ("seed = 3", "seed = 'x'", "valid integer", 7),
    ("seed = 3", "seed = true", "valid integer", 7),
    ("seed = 3", "seed = ", "not valid TOML", 7),
    ('budget = "2m"', 'budget = "soon"', "'soon' is no duration", 6),
    ('fail-on = "warning"', 'fail-on = "warnings"', "did you mean 'warning'?", 8),
    ("most = 0.7", "most = 'x'", "valid number", 13),
    ("most = 0.7", "most = nan", "finite number", 13),
    ('lr-too-high = "warning"', 'lr-too-high = "severe"', "is not one of", 16),
    ("[tool.auditor.severity]", "[tool.auditor.severities]", "did you mean 'severity'?", 15),
])
def test_a_mistake_in_pyproject_shows_its_line(
    tmp_path: Path, old: str, new: str, message: str, line: int
) -> None:
    assert old in TOML
    with pytest.raises(ConfigError) as refusal:
        config(tmp_path, TOML.replace(old, new))

    assert message in str(refusal.value)
    assert f"pyproject.toml:{line}:" in refusal.value.where


def test_a_mistake_in_audit_yaml_shows_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refusal:
        config(tmp_path, "seed: 1\nfail-on: errors\n", "audit.yaml")

    assert "did you mean 'error'?" in refusal.value.message
    assert "audit.yaml:2:10" in refusal.value.where


def test_the_command_line_stands_before_the_configuration(tmp_path: Path) -> None:
    found = config(tmp_path, TOML)

    assert overrides(RULES, found, {}) == {"dying-relu": {"most": Override(0.7, "configuration")}}
    assert overrides(RULES, found, {"dying-relu": {"most": 0.9}}) == {
        "dying-relu": {"most": Override(0.9, "command line")}}


@pytest.mark.parametrize(("old", "new", "message"), [
    ("most = 0.7", "mist = 0.7", "no threshold 'mist'; did you mean 'most'?"),
    ("thresholds.dying-relu", "thresholds.dying-rel", "no rule 'dying-rel'; did you mean"),
])
def test_a_limit_of_nothing_is_refused_at_its_line(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    found = config(tmp_path, TOML.replace(old, new))

    with pytest.raises(ConfigError) as refusal:
        overrides(RULES, found, {})
    assert message in refusal.value.message
    assert "pyproject.toml:1" in refusal.value.where


def test_a_limit_of_nothing_on_the_command_line_is_refused() -> None:
    with pytest.raises(UsageError, match="did you mean 'dying-relu'"):
        overrides(RULES, Config(), {"dying-rel": {"most": 1.0}})
    with pytest.raises(UsageError, match="no threshold 'least'"):
        overrides(RULES, Config(), {"dying-relu": {"least": 1.0}})


@pytest.mark.parametrize(("old", "new", "line"), [
    ('lr-too-high = "warning"', 'lr-too-hgh = "warning"', 16),
    ('["lr-too-low"]', '["lr-too-lw"]', 9),
])
def test_a_rule_that_does_not_exist_is_refused_at_its_line(
    tmp_path: Path, old: str, new: str, line: int
) -> None:
    check_config(RULES, config(tmp_path, TOML))
    with pytest.raises(ConfigError, match="did you mean 'lr-too-") as refusal:
        check_config(RULES, config(tmp_path, TOML.replace(old, new)))

    assert f"pyproject.toml:{line}:" in refusal.value.where


def test_limits_on_the_command_line_are_read() -> None:
    assert parse_thresholds(["a.b=1e-3", " a.c = -2 ", "d.e=inf"]) == {
        "a": {"b": 1e-3, "c": -2.0}, "d": {"e": float("inf")}}


@pytest.mark.parametrize("text", ["", "a", "a.b", "a=1", "a.b=", "a.b=x", "a.b.c=1", "a.b=nan"])
def test_a_limit_in_another_form_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="RULE.NAME=VALUE"):
        parse_thresholds([text])


@pytest.mark.parametrize(("text", "seconds"), [
    ("60s", 60.0), ("1.5m", 90.0), ("1h", 3600.0), ("45", 45.0), (45, 45.0), (" 2 m ", 120.0),
])
def test_a_duration_is_read(text: str | float, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1s", "0", "1d", "1 s m", "nan", "inf"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no duration"):
        parse_seconds(text)


@pytest.mark.parametrize(("select", "ignore", "ids"), [
    ((), (), ["dying-relu", "lr-too-high", "lr-too-low"]),
    (("learning-rate",), (), ["lr-too-high", "lr-too-low"]),
    (("dying-relu",), (), ["dying-relu"]),
    ((), ("learning-rate",), ["dying-relu"]),
    (("learning-rate",), ("lr-too-low",), ["lr-too-high"]),
    (("lr-too-low",), ("learning-rate",), ["lr-too-low"]),
    (("lr-too-low",), ("lr-too-low",), []),
])
def test_rules_are_chosen_by_id_and_category(
    select: tuple[str, ...], ignore: tuple[str, ...], ids: list[str]
) -> None:
    assert [item.id for item in chosen_rules(RULES, select, ignore)] == ids


def test_a_choice_that_is_no_rule_and_no_category_is_refused() -> None:
    with pytest.raises(UsageError, match="'activatio' is no rule.*did you mean 'activation'"):
        chosen_rules(RULES, ["activatio"])


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60) | st.from_regex(r"([\[\]{}a-c.='\"#, \n]|1){0,50}", fullmatch=True))
def test_any_table_is_read_or_refused(text: str) -> None:
    data = f"[tool.auditor]\n{text}".encode("utf-8", "surrogatepass")
    try:
        found = read_table(data, "x.toml", ("tool", "auditor"), ConfigError)
    except ConfigError as refusal:
        assert refusal.where.startswith("x.toml")
        return
    assert found is not None
    assert found.where(()).startswith("x.toml:1:1")
