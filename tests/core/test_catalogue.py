"""What `audit explain` says, and how little it reads for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from auditor import registry
from auditor.catalogue import explanation
from auditor.errors import PackError, UsageError
from auditor.rulefacts import facts_of, own_facts

PACK = """\
category: fit
rules:
  - id: my-own-rule
    since: 0.1.0
    status: preview
    severity: warning
    confidence: low
    for_each: run
    requires: [crop_share]
    when: crop_share > half
    at_start: crop_share > 0.1
    thresholds: {half: {default: 0.5, unit: share, source: a guess}}
    title: t
    title_pass: p
    message: m
    why: w
"""


@pytest.fixture
def ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that stands in for that of our own packs."""
    monkeypatch.setenv(registry.SWITCH, "none")
    monkeypatch.setattr(registry, "folder_of", lambda plugin: tmp_path)
    (tmp_path / "fit.yaml").write_text(PACK, encoding="utf-8")
    return tmp_path


def test_the_words_of_our_packs_are_those_of_the_checked_rules() -> None:
    for name, rule in registry.rules().items.items():
        if registry.rules().owners[name] == "auditor":
            assert own_facts(name) == facts_of(rule)


def test_one_of_our_rules_is_explained_without_what_checks_packs() -> None:
    program = ("import sys\n"
               "from auditor.catalogue import explanation\n"
               "assert explanation('dying-relu').startswith('# dying-relu')\n"
               "assert not {'pydantic', 'pydantic_core', 'auditor.packs'} & set(sys.modules)\n")
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert result.returncode == 0, result.stderr


def test_a_rule_is_explained_whatever_the_other_packs_hold(ours: Path) -> None:
    (ours / "data.yaml").write_text("a: [", encoding="utf-8")

    assert "\nLimits (change one with --threshold my-own-rule.NAME=VALUE" in (
        explanation("my-own-rule"))


@pytest.mark.parametrize(("before", "after", "said"), [
    ("    status: preview\n", "", "the key 'status' is missing"),
    ("severity: warning", "severity: [", "not valid YAML"),
    ("at_start: crop_share > 0.1", "at_start: [1]", "valid string"),
    ("rules:\n", "rules:\n  - 1\n", "valid dictionary"),
])
def test_what_is_wrong_with_a_pack_that_holds_the_rule_is_said(
    ours: Path, before: str, after: str, said: str
) -> None:
    (ours / "fit.yaml").write_text(PACK.replace(before, after), encoding="utf-8")

    with pytest.raises(PackError, match=said):
        explanation("my-own-rule")


def test_a_rule_that_our_packs_have_twice_is_refused(ours: Path) -> None:
    (ours / "data.yaml").write_text(PACK, encoding="utf-8")

    with pytest.raises(PackError, match="twice"):
        explanation("my-own-rule")


@pytest.mark.parametrize(("name", "said"), [
    ("my-own-rul", "did you mean 'my-own-rule'"), ("my", "no rule 'my'"), ("\udcff", "no rule"),
])
def test_a_name_that_no_rule_has_is_answered_with_the_nearest(
    ours: Path, name: str, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        explanation(name)


def test_packs_of_the_user_are_always_checked(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(PACK, encoding="utf-8")
    assert "half = 0.5 share: a guess" in explanation("my-own-rule", [str(path)])

    path.write_text(PACK.replace("fit", "fitt"), encoding="utf-8")
    with pytest.raises(PackError, match="did you mean 'fit'"):
        explanation("dying-relu", [str(path)])
