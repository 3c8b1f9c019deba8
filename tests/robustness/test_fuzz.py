"""Damaged files of every kind are read or refused; nothing else happens.

`FUZZ_CASES=1000 pytest tests/robustness/test_fuzz.py` tries more of them than CI does.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sample_reports import failing
from sample_rules import rule

from auditor import registry
from auditor.baseline import baseline_text, read_baseline, with_baseline
from auditor.command import read_report
from auditor.compare import compare
from auditor.config import check_config, load_config, overrides
from auditor.effective import settle
from auditor.errors import AuditorError
from auditor.judge import Limits, judge
from auditor.packs import parse_pack

CASES = int(os.environ.get("FUZZ_CASES", "200"))
fuzzed = settings(
    max_examples=CASES, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
LIMIT = "{most: {default: 0.5, unit: share, source: s}}"
RULES = (rule("dying-relu", "x > most", thresholds=LIMIT),
         rule("lr-too-high", category="learning-rate"))
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
TOML = """\
[project]
name = "mine"
[tool.auditor]
model = "build"
budget = "2m"
seed = 3
fail-on = "warning"
baseline = "known.json"
ignore = ["lr-too-high", {rule = "dying-relu", layers = "fc*", reason = "on purpose"}]
[tool.auditor.thresholds.dying-relu]
most = 0.7
[tool.auditor.severity]
lr-too-high = "warning"
"""
YAML = """\
budget: 90
fail-on: never
seed: 1
ignore:
  - lr-too-high
  - {rule: dying-relu, reason: on purpose, layers: "fc*"}
thresholds:
  dying-relu: {most: 1e-1}
severity: {lr-too-high: info}
"""

SCALARS = (
    st.none() | st.booleans() | st.integers(-5, 5) | st.integers() | st.floats()
    | st.text(max_size=6) | st.sampled_from([
        "nan", "inf", "", "\x1b[31m", "../x", 10**400, -(10**30), 1e308, "9" * 400, "a.b", "{x}"])
)
JUNK = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=4), inner, max_size=3), max_leaves=5)
PIECES = st.sampled_from([
    b"", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\r\n", b"\t", b"[" * 300, b"{" * 300,
    b"!!python/x ", b"&a ", b"*a", b": ", b"- ", b"1e999", b"NaN", b"9" * 5000, b"'",
    b'"', b"---\n", b"%YAML 9\n", b"<<: ", b"? ", b"\xe2\x80\xae", b"[[tool.auditor]]\n",
    b"[tool.auditor]\n", b"=", b",", b"}",
]) | st.binary(max_size=4)


def damaged(source: bytes) -> st.SearchStrategy[bytes]:
    """Return a file with some bytes cut out and others put in, or something else altogether."""
    places = st.integers(0, len(source))

    def cut(edits: list[tuple[int, int, bytes]]) -> bytes:
        found = source
        for place, length, piece in edits:
            found = found[:place] + piece + found[place + length:]
        return found

    lengths = st.sampled_from([0, 1, 2, 5, 20, 10**6])
    return st.builds(cut, st.lists(st.tuples(places, lengths, PIECES), min_size=1, max_size=3))


def other_values(source: object) -> st.SearchStrategy[bytes]:
    """Return a JSON file with up to three of its values dropped or replaced."""
    paths = list(_paths(source, ()))

    def change(edits: list[tuple[tuple[Any, ...], object, bool]]) -> bytes:
        found = json.loads(json.dumps(source))
        for path, value, drop in edits:
            with suppress(KeyError, IndexError, TypeError):
                *way, last = path
                inside = found
                for part in way:
                    inside = inside[part]
                if drop:
                    del inside[last]
                else:
                    inside[last] = value
        return json.dumps(found).encode()

    edit = st.tuples(st.sampled_from(paths), JUNK, st.booleans())
    return st.builds(change, st.lists(edit, min_size=1, max_size=3)) | st.builds(
        lambda value: json.dumps(value).encode(), JUNK)


def _paths(value: object, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else (
        enumerate(value) if isinstance(value, list) else ())
    for key, inner in items:
        yield (*path, key)
        yield from _paths(inner, (*path, key))


def refused_or_not(read: Callable[[], object]) -> None:
    """Run it; a refusal says something, and is one of ours."""
    try:
        read()
    except AuditorError as refusal:
        assert refusal.message and len(str(refusal)) < 20_000


@fuzzed
@given(damaged(PACK.encode()))
def test_packs(data: bytes) -> None:
    refused_or_not(lambda: parse_pack(data, "x.yaml"))


def _configured(folder: Path) -> None:
    config = load_config(folder)
    check_config(RULES, config)
    overrides(RULES, config, {})
    settle(config, {})


@pytest.mark.parametrize(("name", "source"), [("pyproject.toml", TOML), ("audit.yaml", YAML)])
def test_configurations(tmp_path: Path, name: str, source: str) -> None:
    @fuzzed
    @given(damaged(source.encode()))
    def each(data: bytes) -> None:
        (tmp_path / name).write_bytes(data)
        refused_or_not(lambda: _configured(tmp_path))

    each()


def test_baselines(tmp_path: Path) -> None:
    report, path = failing(), tmp_path / "known.json"
    text = baseline_text(report)

    @fuzzed
    @given(damaged(text.encode()) | other_values(json.loads(text)))
    def each(data: bytes) -> None:
        path.write_bytes(data)
        refused_or_not(lambda: with_baseline(report, read_baseline(path), "known.json"))

    each()


def test_reports(tmp_path: Path) -> None:
    report, path = failing(), tmp_path / "run.json"
    whole = report.to_json()
    rules = tuple(registry.rules(()).items.values())

    def used() -> None:
        found = read_report(path)
        compare(report, found)
        judge(found, rules, Limits())

    @fuzzed
    @given(other_values(whole) | damaged(json.dumps(whole).encode()))
    def each(data: bytes) -> None:
        path.write_bytes(data)
        refused_or_not(used)

    each()


def test_reports_with_other_values_are_drawn(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    renderers = registry.renderers().items.values()

    def drawn() -> None:
        found = read_report(path)
        for renderer in renderers:
            renderer.render(found)

    @settings(fuzzed, max_examples=max(CASES // 5, 1))
    @given(other_values(failing().to_json()))
    def each(data: bytes) -> None:
        path.write_bytes(data)
        refused_or_not(drawn)

    each()
