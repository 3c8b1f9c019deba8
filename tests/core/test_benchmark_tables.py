"""The tables of the benchmarks speak of rules that exist, and their edits fit their files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from auditor import registry

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(
    not (ROOT / "benchmarks").is_dir(), reason="the benchmarks lie beside the sources")
# Rules of the user's own loop, which stand in the catalogue of faults only.
LOOP = {"gradient-not-cleared", "accumulation-not-scaled", "optimizer-recreated",
        "train-mode-validation", "scheduler-misuse", "clip-before-unscale"}


@pytest.fixture(autouse=True)
def beside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])


def test_published_programs_can_be_written_and_expect_rules_that_exist(tmp_path: Path) -> None:
    from benchmarks.published.cases import cases, twins

    rules, fixed = set(registry.rules(()).items) | LOOP, {twin.name for twin in twins()}
    found = list(cases())
    for case in found:
        member = case.written(tmp_path)
        compile(member.path.read_text(encoding="utf-8"), str(member.path), "exec")

        assert set(case.expect) <= rules, case.id
        assert f"fixed-{case.twin}" in fixed

    assert len({case.id for case in found}) == len(found) == 118


def test_a_page_says_once_what_the_accuracy_benchmark_found(tmp_path: Path) -> None:
    from benchmarks.accuracy import pages
    from benchmarks.accuracy.runner import Member, Result

    page = tmp_path / "dying-relu.md"
    page.write_text("# dying-relu\n\n## When it may be wrong\n\nSeldom.\n\n## Fix\n\nNone.\n")
    members = [Member("sick", page, ("dying-relu",)), Member("sound", page)]
    results = [Result("sick", 0, {"lr-too-high": "error/high"}, ["lr-too-high"], [], 1.0),
               Result("sound", 0, {"dying-relu": "warning/low"}, ["dying-relu"], [], 1.0)]
    for _ in range(2):
        pages.write(tmp_path, members, results, "today, here")

    assert page.read_text() == (
        "# dying-relu\n\n## When it may be wrong\n\nSeldom.\n"
        "In the accuracy benchmark (today, here) it was named as the root in 0 of 1 audits with "
        "its fault. It was a false alarm in 1 of 1 audits of healthy set-ups, and stood beside or "
        "in place of another fault in 0 of 1. Named instead: lr-too-high.\n"
        "\n## Fix\n\nNone.\n")


def test_messages_of_peers_stand_for_rules_that_exist() -> None:
    from benchmarks.peers.score import meanings

    rules = set(registry.rules(()).items)
    for tool, kinds in meanings().items():
        for kind, named in kinds.items():
            assert set(named) <= rules, (tool, kind)


def test_the_peers_table_ends_with_what_the_auditor_said_of_the_same_members() -> None:
    from benchmarks.accuracy.runner import Member
    from benchmarks.peers.score import ours

    here = Path("model.py")
    members = [Member("sound", here), Member("alarmed", here),
               Member("sick", here, ("dying-relu",)),
               Member("missed", here, ("dying-relu",)), Member("told", here, ("batch-too-large",)),
               Member("not-audited", here, ("dying-relu",))]
    kept = {
        "sound#0": {"right": True, "roots": [], "seconds": 1.0},
        "alarmed#0": {"right": False, "roots": ["lr-too-high"], "seconds": 2.0},
        "sick#0": {"right": True, "roots": ["dying-relu"], "seconds": 3.0},
        "missed#0": {"right": False, "roots": [], "seconds": 4.0},
        "told#0": {"right": True, "roots": [], "seconds": 5.0},
    }

    rules = len(registry.rules(()).items)
    assert ours(members, kept) == (
        f"| auditor | 2 | 1 | 3 | 1 | 0.50 | 0.50 | 0.50 | {rules} | 1 | 3.0 (wall) |")
    assert ours([], kept) == f"| auditor | 0 | 0 | 0 | 0 | - | - | nan | {rules} | 0 | - (wall) |"


@pytest.mark.parametrize(("root", "right", "wrong", "f1"), [
    (3, 2, 1, 2 / 3 * 0.75 * 2 / (2 / 3 + 0.75)), (3, 0, 0, 0.75), (0, 0, 0, 0.0), (0, 0, 2, 0.0),
])
def test_a_rule_that_only_informs_is_scored_by_its_recall(
    root: int, right: int, wrong: int, f1: float,
) -> None:
    from benchmarks.accuracy.score import RuleScore

    entry = RuleScore(members=4, fired=4, root=root, right=right, wrong=wrong)
    assert entry.f1 == pytest.approx(f1)
