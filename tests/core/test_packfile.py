"""The form of a pack: every mistake is shown with its line, a caret and the nearest word."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.errors import PackError
from auditor.packs import load_pack, parse_pack, schema_text

PACK = """\
category: activation
rules:
  - id: dying-relu
    since: 0.1.0
    status: preview
    severity: error
    confidence: high
    for_each: layer
    requires: [dead_share, dead_samples]
    mentions: [dead_share_at_start]
    when: dead_share > max_dead_share and dead_samples >= min_samples
    severity_when: {warning: dead_share < certain_share}
    confidence_when: {medium: dead_samples < 500}
    thresholds:
      max_dead_share: {default: 0.5, unit: share, source: "zoo"}
      certain_share: {default: 0.8, unit: share, source: "zoo"}
      min_samples: {default: 1e2, unit: "", source: "zoo"}
    title: "{dead_share:.0%} of the units of {layer} are dead"
    title_pass: "ReLU units are alive in every layer"
    message: "Of {layers} {dead_share:.0%} put out zero (limit {max_dead_share:.0%})."
    why: "A unit that puts out zero gets no gradient."
    causes: [lr-too-high]
    fixes:
      - summary: "Start the biases of {layer} at zero."
        when: dead_share_at_start > 0.1
        code: |
          nn.init.zeros_(model.{layer}.bias)
    references: ["Lu et al. 2019"]
"""


def refusal(old: str, new: str) -> PackError:
    assert old in PACK
    with pytest.raises(PackError) as found:
        parse_pack(PACK.replace(old, new, 1), "rules/x.yaml")
    return found.value


@pytest.mark.parametrize(("old", "new", "message", "caret"), [
    ("severity: error", "severity: eror", "did you mean 'error'?", "eror"),
    ("title_pass:", "titel_pass:", "the key 'title_pass' is missing", None),
    ("default: 0.5", "defualt: 0.5", "the key 'default' is missing", None),
    ("causes:", "cause:", "unknown key 'cause'; did you mean 'causes'?", "cause"),
    ("category: activation", "category: activations", "did you mean 'activation'?", "activations"),
    ("{warning: dead", "{warnig: dead", "did you mean 'warning'?", "warnig"),
    ("default: 0.5", "default: '0.5'", "valid number, not '0.5'", "'0.5'"),
    ("default: 0.5", "default: .nan", "finite number", ".nan"),
    ("default: 0.5", "default: true", "valid number", "true"),
    ("causes: [lr-too-high]", "causes: lr-too-high", "valid list", "lr-too-high"),
    ("id: dying-relu", "id: DyingReLU", "does not have the form", "DyingReLU"),
    ("requires: [dead_share, dead_samples]", "requires: []", "at least 1 item", "[]"),
    ("[dead_share, dead_samples]", "[dead_share, dead_samples, dead_share]", "declared twice",
     "[dead_share, dead_samples, dead_share]"),
    ("max_dead_share: {", "dead_share: {", "declared twice", None),
    ("[dead_share_at_start]", "[dead_share_at_start, layers]", "meaning of its own", None),
    ("dead_share > max", "dead_shar > max", "did you mean 'dead_share'?", "dead_shar"),
    ("max_dead_share and", "2 * max_dead_share and", "no arithmetic", "*"),
    ("dead_share > max", "dead_share_at_start > max", "belongs to `requires`", None),
    ("dead_share < certain_share", "dead_share < certn_share", "'certain_share'?", "certn_share"),
    ("when: dead_share_at_start", "when: dead_share_at_strt", "at_start'?", "dead_share_at_strt"),
    ('title: "{dead_share:', 'title: "{dead_shar:', "did you mean 'dead_share'?", "dead_shar"),
    ("{layer} at zero", "{layer.name} at zero", "is no placeholder", "layer.name"),
    ("model.{layer}.bias", "model.{lair}.bias", "did you mean 'layer'?", None),
    ("for_each: layer", "for_each: run", "unknown name 'layer' in the text", "layer"),
    ("      certain_share:", "      other: {default: 1, unit: '', source: s}\n      certain_share:",
     "the threshold 'other' is never used", None),
    ("since: 0.1.0", "since: 0.1", "valid string, not '0.1'", "0.1"),
    ("status: preview", "status: preview\n    status: stable", "appears twice", "status"),
])
def test_a_mistake_is_shown_at_its_place(
    old: str, new: str, message: str, caret: str | None
) -> None:
    found = refusal(old, new)

    assert message in str(found)
    head, source, marks = found.where.splitlines()[:3]
    assert head.startswith("rules/x.yaml:")
    if caret is not None:
        start = marks.index("^")
        assert source[start:start + marks.count("^")].strip("'\"") == caret.strip("'\"")


def test_all_mistakes_of_form_are_shown_at_once() -> None:
    found = str(refusal("severity: error\n    confidence: high",
                        "severity: eror\n    confidence: hihg"))

    assert "rules/x.yaml:6:15" in found
    assert "rules/x.yaml:7:17" in found


def test_a_folded_condition_is_shown_as_a_whole() -> None:
    found = refusal("when: dead_share > max_dead_share and",
                    "when: >\n      dead_shar > max_dead_share and\n     ")

    assert "did you mean 'dead_share'?" in str(found)
    assert found.where.startswith("rules/x.yaml:11:11")


def test_one_rule_twice_is_refused() -> None:
    again = PACK + PACK.split("rules:\n")[1]
    with pytest.raises(PackError, match=r"appears twice \(first at rules/x.yaml:3\)"):
        parse_pack(again, "rules/x.yaml")


@pytest.mark.parametrize("text", ["", "[]", "text", "category: data\nrules: []", "rules:"])
def test_a_file_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(PackError):
        parse_pack(text, "x.yaml")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="missing.yaml cannot be read"):
        load_pack(tmp_path / "missing.yaml")


def test_the_schema_accepts_what_the_loader_accepts_and_is_the_published_one(
    request: pytest.FixtureRequest,
) -> None:
    published = Path(str(files("auditor.rules"))) / "schema.json"
    if request.config.getoption("--update-golden"):
        published.write_text(schema_text(), encoding="utf-8", newline="\n")
    schema = json.loads(published.read_text(encoding="utf-8"))

    jsonschema.validate(yaml.safe_load(PACK.replace("1e2", "100")), schema)
    assert published.read_text(encoding="utf-8") == schema_text(), "--update-golden"


def mutations(lines: list[str]) -> st.SearchStrategy[str]:
    """Return packs with a line dropped, doubled, indented otherwise or cut."""
    def change(where: int, how: Callable[[str], list[str]]) -> str:
        return "\n".join([*lines[:where], *how(lines[where]), *lines[where + 1:]])

    hows: list[Callable[[str], list[str]]] = [
        lambda line: [], lambda line: [line, line], lambda line: ["  " + line],
        lambda line: [line[: len(line) // 2]], lambda line: [line.replace(":", "")],
        lambda line: [line.replace("e", "3")], lambda line: [line + " # x"],
        lambda line: [line.replace("[", "{").replace("]", "}")], lambda line: [line.upper()],
    ]
    return st.builds(change, st.integers(0, len(lines) - 1), st.sampled_from(hows))


@settings(max_examples=300, deadline=None)
@given(mutations(PACK.splitlines()))
def test_a_damaged_pack_is_read_or_refused_with_a_place(text: str) -> None:
    try:
        rules = parse_pack(text, "rules/x.yaml")
    except PackError as found:
        assert found.where.startswith("rules/x.yaml:")
        return
    assert len(rules) == 1
