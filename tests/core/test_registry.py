"""Plugins: ours and an outsider's that is installed for one subprocess, whole and broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from auditor import registry
from auditor.errors import PackError
from auditor.packs import parse_pack
from auditor.rule import Rule

PACK = """\
category: {category}
rules:
  - id: {id}
    since: 0.1.0
    status: preview
    severity: warning
    confidence: low
    for_each: run
    requires: [crop_share]
    when: crop_share > 0.5
    title: t
    title_pass: p
    message: m
    why: w
"""
MODULE = """\
import sys
sys.modules["vision_was_imported"] = sys
class Crop:
    name, says, cost, yields, after = "crop", "s", None, (), ()
PROBES = (Crop,)
class Paper:
    name, suffixes, says = "paper", (".paper",), "s"
RENDERERS = (Paper(),)
"""
ENTRIES = """\
[auditor.probes]
vision = auditor_vision
[auditor.rules]
vision = auditor_vision
[auditor.renderers]
vision = auditor_vision
"""


@pytest.fixture
def outsider(tmp_path: Path) -> Path:
    """Return a folder for sys.path with an installed plugin in it."""
    package = tmp_path / "auditor_vision"
    (package / "pages").mkdir(parents=True)
    (package / "__init__.py").write_text(MODULE, encoding="utf-8")
    (package / "vision.yaml").write_text(
        PACK.format(category="data", id="cropped-input"), encoding="utf-8")
    (package / "pages" / "cropped-input.md").write_text("# cropped-input\n", encoding="utf-8")
    info = tmp_path / "auditor_vision-0.3.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: auditor-vision\nVersion: 0.3\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(ENTRIES, encoding="utf-8")
    return tmp_path


def ask(folder: Path, expression: str, plugins: str = "") -> object:
    """Return the value of an expression over `registry` in an interpreter with the outsider."""
    program = (
        "import sys, json\n"
        f"sys.path.append({str(folder)!r})\n"
        "from auditor import registry\n"
        f"print(json.dumps({expression}))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False,
        env={**os.environ, "AUDITOR_PLUGINS": plugins},
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_an_outsiders_rules_probes_and_formats_come_in_by_the_same_door(outsider: Path) -> None:
    found = ask(outsider, "['cropped-input' in registry.rules().items,"
                          " 'paper' in registry.renderers().items,"
                          " registry.page('cropped-input'),"
                          " [str(plugin) for plugin in registry.plugins(registry.RULES)][1:],"
                          " [*registry.rules().warnings, *registry.renderers().warnings]]")

    assert found == [True, True, "# cropped-input\n", ["auditor-vision 0.3"], []]


def test_an_outsiders_probe_is_found(outsider: Path) -> None:
    assert ask(outsider, "'crop' in registry.probes().items") is True


def test_reading_packs_and_pages_imports_no_plugin_and_no_torch(outsider: Path) -> None:
    found = ask(outsider, "[len(registry.rules().items) > 0, registry.page('cropped-input'),"
                          " sorted({'torch', 'numpy', 'vision_was_imported'} & set(sys.modules))]")

    assert found == [True, "# cropped-input\n", []]


def test_outsiders_can_be_switched_off(outsider: Path) -> None:
    found = ask(outsider, "['cropped-input' in registry.rules().items,"
                          " len(registry.plugins(registry.PROBES))]", plugins="none")

    assert found == [False, 1]


@pytest.mark.parametrize(("file", "text", "group", "said"), [
    ("__init__.py", "raise RuntimeError('no camera')", "renderers", "RuntimeError: no camera"),
    ("__init__.py", "", "renderers", "AttributeError"),
    ("__init__.py", "RENDERERS = (1,)", "renderers", "AttributeError"),
    ("vision.yaml", "category: dat", "rules", "did you mean 'data'?"),
    ("vision.yaml", "a: [", "rules", "not valid YAML"),
])
def test_a_broken_outsider_is_one_warning_that_names_it(
    outsider: Path, file: str, text: str, group: str, said: str
) -> None:
    (outsider / "auditor_vision" / file).write_text(text, encoding="utf-8")

    found = ask(outsider, f"[*registry.{group}().warnings, len(registry.{group}().items)]")

    assert isinstance(found, list)
    warning, ours = found
    assert warning.startswith(f"auditor-vision 0.3 (auditor.{group}) cannot be used: ")
    assert said in warning
    assert ours == len(getattr(registry, group)().items)


def test_an_outsider_that_is_not_there_is_a_warning(outsider: Path) -> None:
    (outsider / "auditor_vision").rename(outsider / "gone")

    assert ask(outsider, "registry.rules().warnings") == [
        "auditor-vision 0.3 (auditor.rules) cannot be used: "
        "The package auditor_vision does not exist."]


def test_an_outsider_cannot_replace_what_is_there(outsider: Path) -> None:
    taken = next(iter(registry.renderers().items))
    (outsider / "auditor_vision" / "__init__.py").write_text(
        MODULE.replace('"paper"', repr(taken)), encoding="utf-8")

    found = ask(outsider, f"[registry.renderers().warnings,"
                          f" registry.renderers().items[{taken!r}].suffixes != ('.paper',)]")

    assert isinstance(found, list)
    assert found[0][0].startswith(f"auditor-vision 0.3 brings the format '{taken}', which auditor ")
    assert found[1] is True


def test_packs_that_the_user_names_are_added(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(PACK.format(category="fit", id="my-own-rule"), encoding="utf-8")
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "my-own-rule.md").write_text("mine", encoding="utf-8")

    assert registry.rules([path]).items["my-own-rule"].category == "fit"
    assert registry.page("my-own-rule", [path]) == "mine"
    assert registry.page("my-own-rule") is None


def test_a_rule_that_exists_already_is_refused_with_both_places(tmp_path: Path) -> None:
    paths = [tmp_path / "a.yaml", tmp_path / "b.yaml"]
    for path in paths:
        path.write_text(PACK.format(category="fit", id="my-own-rule"), encoding="utf-8")

    with pytest.raises(PackError, match=r"exists already, in .*a\.yaml:3") as refusal:
        registry.rules(paths)

    assert refusal.value.where.endswith("b.yaml:3")


@pytest.mark.parametrize("rule", ["../schema", "no-such-rule", "", "a/b", "pages/../x", "..."])
def test_a_name_that_is_no_rule_has_no_page(rule: str) -> None:
    assert registry.page(rule) is None


def read_for(monkeypatch: pytest.MonkeyPatch, name: str) -> list[str]:
    """Return the packs that are read to find a rule of this name."""
    read: list[str] = []

    def noted(data: bytes, shown: str) -> tuple[Rule, ...]:
        read.append(shown)
        return parse_pack(data, shown)

    monkeypatch.setenv(registry.SWITCH, "none")
    monkeypatch.setattr("auditor.packs.parse_pack", noted)
    registry.rules_beside(name)
    return read


def test_to_find_a_rule_only_the_pack_that_holds_it_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert read_for(monkeypatch, "dying-relu") == ["auditor.rules/activation.yaml"]


@pytest.mark.parametrize("name", ["no-such-rule", "dying", "", "\udcff"])
def test_to_find_that_there_is_no_such_rule_all_packs_are_read(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    ours = {rule.origin.split(":")[0] for rule in registry.rules().items.values()}

    assert set(read_for(monkeypatch, name)) == ours


def test_beside_packs_of_the_user_a_rule_must_not_exist_already(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(PACK.format(category="fit", id="dying-relu"), encoding="utf-8")

    with pytest.raises(PackError, match="'dying-relu' exists already"):
        registry.rules_beside("double-softmax", [path])


def test_a_rule_that_only_an_outsider_has_is_found(outsider: Path) -> None:
    assert ask(outsider, "'cropped-input' in registry.rules_beside('cropped-input').items")
    assert not ask(outsider, "'cropped-input' in registry.rules_beside('cropped-input').items",
                   plugins="none")


@pytest.mark.parametrize("text", ["a: [", "category: data\nrules:\n  - id: dying-relu\n"])
def test_a_broken_pack_of_an_outsider_does_not_hinder(outsider: Path, text: str) -> None:
    (outsider / "auditor_vision" / "vision.yaml").write_text(text, encoding="utf-8")

    assert ask(outsider, "registry.rules_beside('dying-relu').owners['dying-relu']") == "auditor"
    assert ask(outsider, "'cropped-input' in registry.rules_beside('cropped-input').items") is False


def test_the_installed_projects_are_looked_through_once(outsider: Path) -> None:
    again = ("[setattr(registry, 'entry_points', None), registry.page('cropped-input'),"
             " len(registry.plugins(registry.PROBES))]")

    found = ask(outsider, f"[len(registry.plugins(registry.RULES)), *{again}]")

    assert found == [2, None, "# cropped-input\n", 2]


def test_our_probes_declare_each_quantity_once() -> None:
    found = registry.probes()
    names = [quantity.name for probe in found.items.values() for quantity in probe.yields]

    assert len(names) == len(set(names)) == len(registry.quantities(found.items.values()))


def test_rules_of_a_project_whose_probes_are_broken_are_let_through(outsider: Path) -> None:
    check = ("(lambda rules, probes: registry.check_rules("
             "[rules.items['cropped-input']], rules, probes))(registry.rules(), registry.probes())")
    (outsider / "auditor_vision" / "__init__.py").write_text("1 / 0", encoding="utf-8")

    assert ask(outsider, check) is None


def test_a_rule_that_no_probe_of_whole_projects_can_feed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(PACK.format(category="fit", id="my-own-rule"), encoding="utf-8")
    rules, probes = registry.rules([path]), registry.probes()

    with pytest.raises(PackError, match="needs 'crop_share', which no installed probe measures"):
        registry.check_rules([rules.items["my-own-rule"]], rules, probes)
