"""Two reports of one target: new, gone and changed findings, and measurements that moved."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from markdown_it import MarkdownIt
from sample_hostile import hostile
from sample_reports import failing, healthy, incomplete

from auditor import registry
from auditor.cli import main
from auditor.compare import compare
from auditor.finding import Verdict
from auditor.observation import Measurement, Observation, Quantity, Scalar
from auditor.report import Report


def measured(value: Scalar, spread: float | None = None) -> Report:
    item = Measurement("lr_over_best", value, spread=spread)
    return replace(healthy(), observations=(Observation("p", measurements=(item,)),))


def losses(value: float, **seeds: float) -> Report:
    items = (Measurement("fit_train_loss", value),
             *(Measurement(name, spread) for name, spread in seeds.items()))
    return replace(healthy(), observations=(Observation("p", measurements=items),),
                   quantities={"fit_train_loss": Quantity("fit_train_loss", "loss", "a loss")})


@pytest.mark.parametrize(("now", "moved"), [(1.2, False), (3.0, True)])
def test_losses_within_the_spread_between_seeds_have_not_moved(now: float, moved: bool) -> None:
    found = compare(losses(1.0, trial_seed_noise=0.2), losses(now, trial_seed_noise=0.2))

    assert ("fit_train_loss" in {move.name for move in found.moved}) is moved
    assert compare(losses(1.0), losses(1.2)).moved


def test_a_report_is_the_same_as_itself() -> None:
    found = compare(failing(), failing())

    assert (found.appeared, found.gone, found.changed, found.moved, found.lost) == (
        (), (), (), (), {})
    assert not found.regressions("info")


def test_new_findings_are_regressions_and_gone_ones_are_not() -> None:
    worse, better = compare(healthy(), failing()), compare(failing(), healthy())
    rules = [finding.rule for finding in failing().findings]

    assert [finding.rule for finding in worse.regressions("info")] == rules
    assert [finding.rule for finding in worse.regressions("error")] == [
        finding.rule for finding in failing().findings if finding.severity == "error"]
    assert not better.regressions("info")


def test_a_finding_is_gone_only_if_its_rule_was_judged() -> None:
    old = failing()
    now = replace(healthy(), verdicts={
        "dying-relu": Verdict("clear"), "lr-too-high": Verdict("not-measured", "no time")})
    found = compare(old, now)

    assert [finding.rule for finding in found.gone] == ["dying-relu"]
    assert found.lost["lr-too-high"] == "no time"
    assert found.lost["double-softmax"] == "it was not selected"


def test_further_layers_and_severities_are_changes() -> None:
    first, *others = failing().findings
    wider = replace(failing(), findings=(replace(first, layers=("gate", "stem")), *others))
    milder = replace(failing(), findings=(replace(first, severity="warning"), *others))

    (change,) = compare(failing(), wider).changed
    assert change.says == ("also at stem",) and change.worse
    (change,) = compare(failing(), milder).changed
    assert change.says == ("error -> warning",) and not change.worse
    assert compare(milder, failing()).regressions("error")


def test_known_and_ignored_findings_are_no_regressions() -> None:
    first = failing().findings[0]
    for aside in (replace(first, known=True), replace(first, ignored="a.toml:1")):
        report = replace(failing(), findings=(aside,))

        assert not compare(healthy(), report).regressions("info")
        assert compare(report, replace(failing(), findings=(first,))).regressions("info")


@pytest.mark.parametrize(("old", "new", "spread", "moved"), [
    (1.0, 1.2, 0.1, False), (1.0, 2.0, 0.1, True), (1.0, 1.05, None, False),
    (1.0, 1.5, None, True), (1.0, math.nan, 0.1, True), (math.nan, math.nan, 0.1, False),
    (True, False, None, True), ("a", "b", None, True), (0.0, 0.0, None, False),
])
def test_a_measurement_moves_beyond_its_noise(
    old: Scalar, new: Scalar, spread: float | None, moved: bool,
) -> None:
    assert bool(compare(measured(old, spread), measured(new, spread)).moved) is moved


def test_a_spread_that_is_known_once_stands_for_both() -> None:
    assert not compare(measured(1.0), measured(1.2, 0.1)).moved


def test_what_makes_two_runs_hard_to_compare_is_told() -> None:
    other = replace(healthy(), environment={**healthy().environment, "torch": "2.0.0"})

    assert compare(healthy(), other).notes == ("torch differs: 2.13.0 and 2.0.0",)


@pytest.mark.parametrize("name", ["terminal", "markdown", "json"])
@pytest.mark.parametrize("new", [healthy(), failing(), incomplete(), hostile()])
def test_every_format_writes_every_comparison(name: str, new: Report) -> None:
    renderer = registry.renderers().items[name]
    text = renderer.render_comparison(compare(failing(), new))  # type: ignore[attr-defined]

    assert text.endswith("\n") and "\x1b" not in text and "\x07" not in text
    if name == "json":
        json.loads(text, parse_constant=pytest.fail)
    if name == "markdown":
        html = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
        assert "<script" not in html and "<img" not in html


def files(folder: Path, old: Report, new: Report) -> list[str]:
    for name, report in (("old.json", old), ("new.json", new)):
        (folder / name).write_text(json.dumps(report.to_json()), encoding="utf-8")
    return [str(folder / "old.json"), str(folder / "new.json")]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["compare", *arguments])


def test_a_regression_ends_with_one(tmp_path: Path) -> None:
    assert run(*files(tmp_path, healthy(), failing())).exit_code == 1
    assert run(*files(tmp_path, healthy(), failing()), "--fail-on", "never").exit_code == 0
    assert run(*files(tmp_path, failing(), healthy())).exit_code == 0


def test_the_text_names_what_is_new_and_what_is_gone(tmp_path: Path) -> None:
    new = replace(failing(), findings=failing().findings[1:],
                  verdicts={**failing().verdicts, "dying-relu": Verdict("clear")})
    result = run(*files(tmp_path, failing(), new))

    assert result.exit_code == 0
    assert "Gone\n  error[dying-relu]: All 64 units" in result.stdout


def test_the_comparison_can_be_written_to_files(tmp_path: Path) -> None:
    target = tmp_path / "comment.md"
    result = run(*files(tmp_path, healthy(), failing()), "--quiet", "-o", str(target))

    assert result.stdout == ""
    assert "| ❌ new | `dying-relu` |" in target.read_text(encoding="utf-8")


@pytest.mark.parametrize("arguments", [("--format", "sarif"), ("-o", "x.sarif")])
def test_a_format_that_cannot_hold_a_comparison_is_refused(
    tmp_path: Path, arguments: tuple[str, ...],
) -> None:
    assert run(*files(tmp_path, healthy(), failing()), *arguments).exit_code == 2
