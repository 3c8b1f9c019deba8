"""Findings that the user ignores: they stay in the report with the reason, and do not count."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path

import pytest
from sample_rules import observed, rule

from auditor.config import Config, check_config, load_config
from auditor.errors import ConfigError
from auditor.ignores import Ignore
from auditor.judge import Limits, judge
from auditor.observation import Place
from auditor.report import Layer, Report
from auditor.rule import Rule

RULES = (rule("dying-relu", "x > 0.5", place="layer"),
         rule("lr-too-high", "y > 1", category="learning-rate", for_each="run", place="optimizer"))
KNOWN = ("dying-relu", "lr-too-high", "activation", "learning-rate")
SOURCE = textwrap.dedent("""\
    class Net:
        def __init__(self):
            self.fc1 = Linear(1, 2)  # audit: ignore[dying-relu] -- checked by hand
            self.fc3 = Linear(1, 2)
            self.text = "# audit: ignore[dying-relu]"
    opt = SGD(
        lr=9,  # audit: ignore[learning-rate]
    )
""")
# Values above the limits of both rules.
SICK: Mapping[str, object] = {"x": {"fc1": 1.0, "fc3": 1.0}, "y": 9.0}


def report(file: Path, source: str = SOURCE, layers: Mapping[str, int] | None = None) -> Report:
    """Return what was measured on a file whose layers and optimizer stand on these lines."""
    file.write_text(source, encoding="utf-8")
    lines = source.splitlines()

    def place(line: int, end: int = 0) -> Place:
        return Place(str(file), line, 1, end or line, 1, lines[line - 1])

    rows = {"fc1": 3, "fc3": 4} if layers is None else layers
    return Report(
        "incomplete",
        layers=tuple(Layer(path, "Linear", place=place(line)) for path, line in rows.items()),
        target={"places": {"optimizer": place(6, 8).to_json()}} if layers is None else {},
        observations=(observed(SICK),),  # type: ignore[arg-type]
    )


def judged(measured: Report, *ignores: Ignore, rules: tuple[Rule, ...] = RULES) -> Report:
    return judge(measured, rules, Limits(ignores=ignores, known=KNOWN))


def test_a_comment_ignores_the_layer_that_its_line_makes(tmp_path: Path) -> None:
    found = judged(report(tmp_path / "net.py"))

    counted, ignored = (f for f in found.findings if f.rule == "dying-relu")
    assert (counted.layers, counted.ignored) == (("fc3",), "")
    assert ignored.layers == ("fc1",)
    assert ignored.ignored == f"{tmp_path / 'net.py'}:3: checked by hand"


def test_a_comment_inside_an_expression_of_several_lines_counts(tmp_path: Path) -> None:
    found = judged(report(tmp_path / "net.py"))

    (rate,) = (f for f in found.findings if f.rule == "lr-too-high")
    assert rate.ignored == f"{tmp_path / 'net.py'}:7"


def test_ignored_findings_do_not_decide_the_verdict(tmp_path: Path) -> None:
    everything = (Ignore("activation", "a.toml:1", "x"), Ignore("lr-too-high", "a.toml:4", "x"))
    found = judged(report(tmp_path / "net.py"), *everything)

    assert found.verdict == "pass"
    assert not found.reaches("info")
    assert {f.rule for f in found.findings} == {"dying-relu", "lr-too-high"}
    assert found.verdicts["dying-relu"].verdict == "fired"


def test_a_pattern_ignores_some_layers(tmp_path: Path) -> None:
    found = judged(report(tmp_path / "net.py", "a\nb\n", {"fc1": 1, "fc3": 2}),
                   Ignore("dying-relu", "a.toml:1", "frozen", "fc3*"))

    counted, rate, ignored = found.findings
    assert (counted.layers, rate.rule, ignored.layers) == (("fc1",), "lr-too-high", ("fc3",))
    assert ignored.ignored == "a.toml:1: frozen"


def test_an_ignore_that_matches_nothing_is_told(tmp_path: Path) -> None:
    found = judged(report(tmp_path / "net.py"), Ignore("dying-relu", "a.toml:1", "x", "head.*"))

    assert found.remarks == (
        "a.toml:1: nothing was found that this ignores (dying-relu in head.*).",)


def test_an_ignore_of_what_was_not_measured_is_not_blamed(tmp_path: Path) -> None:
    measured = report(tmp_path / "net.py", "x\n", {})
    found = judged(measured, Ignore("absent-rule", "a.toml:1", "x"))

    assert found.remarks == ()


@pytest.mark.parametrize(("comment", "says"), [
    ("# audit: ignore", "names no rule"),
    ("# audit: ignore[]", "names no rule"),
    ("# audit: ignore[dying-rely]", "did you mean 'dying-relu'?"),
])
def test_a_comment_that_says_nothing_ignores_nothing(
    tmp_path: Path, comment: str, says: str,
) -> None:
    found = judged(report(tmp_path / "net.py", f"a = 1  {comment}\n", {"fc1": 1}))

    assert all(finding.is_open for finding in found.findings)
    (remark,) = found.remarks
    assert remark.startswith(f"{tmp_path / 'net.py'}:1: ") and says in remark


def test_comments_of_a_file_that_has_changed_are_not_read(tmp_path: Path) -> None:
    measured = report(tmp_path / "net.py")
    (tmp_path / "net.py").write_text("\n" + SOURCE, encoding="utf-8")

    found = judged(measured)
    assert all(finding.is_open for finding in found.findings)
    assert "has changed since it was audited" in found.remarks[0]


def test_a_file_that_is_gone_has_no_comments(tmp_path: Path) -> None:
    measured = report(tmp_path / "net.py")
    (tmp_path / "net.py").unlink()

    assert judged(measured).remarks == ()


def test_judging_again_says_everything_once(tmp_path: Path) -> None:
    ignore = Ignore("dying-relu", "a.toml:1", "x", "head.*")
    once = judged(report(tmp_path / "net.py"), ignore)

    assert judged(once, ignore).remarks == once.remarks
    assert judged(once).remarks == ()


def config(folder: Path, text: str, name: str = "pyproject.toml") -> Config:
    (folder / name).write_text(text, encoding="utf-8")
    return load_config(folder)


TABLES = """\
[tool.auditor]
seed = 1

[[tool.auditor.ignore]]
rule = "dying-relu"
layers = "backbone.*"
reason = "it is pretrained"

[[tool.auditor.ignore]]
rule = "lr-too-high"
reason = "the warm-up is in trainer.py"
"""


def test_tables_ignore_with_a_reason_and_a_place(tmp_path: Path) -> None:
    found = config(tmp_path, TABLES)
    file = tmp_path / "pyproject.toml"

    assert found.ignore == ()
    assert found.ignores == (
        Ignore("dying-relu", f"{file}:4", "it is pretrained", "backbone.*"),
        Ignore("lr-too-high", f"{file}:9", "the warm-up is in trainer.py"))


def test_names_and_tables_can_stand_in_one_list(tmp_path: Path) -> None:
    found = config(tmp_path, "ignore:\n  - data\n  - {rule: dying-relu, reason: known}\n",
                   "audit.yaml")

    assert found.ignore == ("data",)
    assert [item.rule for item in found.ignores] == ["dying-relu"]


@pytest.mark.parametrize(("old", "new", "message", "line"), [
    ('layers = "backbone.*"', 'layer = "x"', "unknown key 'layer'; did you mean 'layers'?", 6),
    ('reason = "it is pretrained"\n', "", "the key 'reason' is missing", 4),
    ('reason = "the warm-up is in trainer.py"', "reason = 3", "valid string", 11),
])
def test_a_mistake_in_a_table_shows_its_line(
    tmp_path: Path, old: str, new: str, message: str, line: int,
) -> None:
    assert old in TABLES
    with pytest.raises(ConfigError) as refusal:
        config(tmp_path, TABLES.replace(old, new))

    assert message in str(refusal.value)
    assert f"pyproject.toml:{line}:" in refusal.value.where


def test_a_table_with_an_unknown_rule_is_refused(tmp_path: Path) -> None:
    found = config(tmp_path, TABLES.replace("dying-relu", "dying-rely"))

    with pytest.raises(ConfigError, match="did you mean 'dying-relu'"):
        check_config(RULES, found)
