"""Broken files and command lines: the right exit code, one clear message, no traceback of ours."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner
from sample_reports import failing

from auditor.baseline import baseline_text
from auditor.cli import main

Content = bytes | str | Callable[[Path], None]
USAGE, TARGET = 2, 3
GOOD = "import torch\nmodel = torch.nn.Linear(2, 2)\n"
REPORT = json.dumps(failing().to_json())
KNOWN = baseline_text(failing())
BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n"
DEEP = "[" * 100_000 + "]" * 100_000
PACK = """\
category: activation
rules:
  - id: my-rule
    since: 0.1.0
    status: preview
    severity: error
    confidence: high
    for_each: layer
    requires: [dead_share]
    when: dead_share > most
    thresholds: {most: {default: 0.5, unit: share, source: mine}}
    title: "{layer}"
    title_pass: "fine"
    message: "{layer}"
    why: "so"
"""


@dataclass(frozen=True)
class Case:
    """One broken thing.

    Attributes:
        name: What is broken.
        arguments: Of the command line.
        says: Words of the message.
        files: Name -> content, or what makes it.
        code: Exit code.
    """

    name: str
    arguments: str
    says: tuple[str, ...] = ()
    files: Mapping[str, Content] | None = None
    code: int = USAGE


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def folder(path: Path) -> None:
    path.mkdir()


def target(name: str, content: Content, *says: str, file: str = "net.py") -> Case:
    return Case(f"target: {name}", f"run {file}", says, {file: content}, TARGET)


def config(name: str, content: Content, *says: str, file: str = "audit.yaml") -> Case:
    return Case(f"config: {name}", "run net.py", says, {file: content, "net.py": GOOD})


def toml(name: str, content: str, *says: str) -> Case:
    return config(f"{name} in TOML", f"[tool.auditor]\n{content}\n", "pyproject.toml", *says,
                  file="pyproject.toml")


def pack(name: str, content: Content, *says: str) -> Case:
    return Case(f"pack: {name}", "rules --rules mine.yaml", ("mine.yaml", *says),
                {"mine.yaml": content})


def saved(name: str, content: Content, *says: str) -> Case:
    return Case(f"saved run: {name}", "diagnose run.json", ("run.json", *says),
                {"run.json": content})


def changed(path: str, value: object, source: str = REPORT) -> str:
    """Return the JSON text with another value at a dotted path."""
    data = json.loads(source)
    inside, (*way, last) = data, path.split(".")
    for part in way:
        inside = inside[int(part) if isinstance(inside, list) else part]
    inside[int(last) if isinstance(inside, list) else last] = value
    return json.dumps(data)


def baseline(name: str, content: Content, *says: str) -> Case:
    return Case(f"baseline: {name}", "diagnose run.json --baseline known.json",
                ("known.json", *says), {"run.json": REPORT, "known.json": content})


CASES = [
    # Targets.
    Case("target: missing", "run none.py", ("none.py",), code=TARGET),
    Case("target: missing attribute", "run net.py:nothing", ("nothing",), {"net.py": GOOD}, TARGET),
    Case("target: no module", "run no.such.module:x", ("no.such.module",), code=TARGET),
    Case("target: empty name", "run :", code=TARGET),
    Case("target: very long name", f"run {'x' * 5000}.py", code=TARGET),
    target("folder", folder, "folder"),
    target("symlink loop", loop, "net.py"),
    target("empty", "", "net.py", "model"),
    target("binary", bytes(range(256)) * 40, "net.py"),
    target("null bytes", "x = 1\n\0\n", "net.py"),
    target("Latin-1", "x = 'é'\n".encode("latin-1"), "net.py"),
    target("UTF-16", GOOD.encode("utf-16"), "net.py"),
    target("wrong coding line", "# coding: klingon\n", "net.py"),
    target("syntax error", "def build_model(:\n", "net.py:1"),
    target("indentation", "if True:\n\tx = 1\n        y = 2\n", "net.py:3"),
    target("nested brackets", "(" * 5000 + ")" * 5000, "net.py"),
    target("deep expression", "x = " + "-" * 100_000 + "1\n", "net.py"),
    target("notebook", json.dumps({"cells": []}), "notebook", file="net.ipynb"),
    target("a text", "The model has two layers.\n", "net.txt", file="net.txt"),
    target("imports itself", "import net\nnet.build_model()\n", "net.py:2"),
    target("missing library", "import no_such_library_x\n", "net.py:1", "no_such_library_x"),
    target("an exception of its own kind", "class Odd(BaseException): pass\nraise Odd('odd')\n",
           "net.py:2", "odd"),
    target("an exception that cannot be shown", "class Odd(Exception):\n    def __str__(self):\n"
           "        raise ValueError('no text')\nraise Odd\n", "net.py:4", "Odd"),
    target("a message of megabytes", "raise ValueError('x' * 5_000_000)\n", "net.py:1"),
    target("a message with control characters", "raise ValueError('\\x1b[2J\\x1b]0;t\\x07')\n",
           "net.py:1", r"\x1b[2J"),
    target("a message that is a command",
           "raise ValueError('x\\n::add-path::/x\\n \\t::stop-commands::y ##[add-path]/x')\n",
           "net.py:1", ": :add-path::/x", "## [add-path]"),
    target("a message that is no text", "raise ValueError('\\udc80')\n", "net.py:1"),
    target("endless recursion", "def f(): f()\nf()\n", "net.py:1", "recursion"),
    target("model is a number", "model = 3\n", "model"),
    target("model function gives None", "def build_model(): pass\ntrain_loader = [1]\n",
           "build_model"),
    target("loader is a number", GOOD + "train_loader = 3\n", "train_loader"),
    target("no loss", GOOD + "train_loader = [(torch.ones(2, 2), torch.ones(2))]\n", "loss"),
    target("batches without a tensor", GOOD + "train_loader = [('a', 'b')]\n"
           "loss_fn = torch.nn.MSELoss()\n", "net.py"),
    target("wrong shapes", GOOD + "train_loader = [(torch.ones(2, 7), torch.ones(2, 2))]\n"
           "loss_fn = torch.nn.MSELoss()\n", "7"),
    target("seed of another world", GOOD + "import numpy\nnumpy.random.seed(-1)\n", "net.py:4"),
    # Configurations.
    config("not YAML", "budget: [1,\n", "audit.yaml:"),
    config("tab", "budget:\n\t- 1\n", "audit.yaml:2"),
    config("alias bomb", BOMB, "audit.yaml:", "alias"),
    config("tag", "budget: !!python/object/apply:os.system [ls]\n", "audit.yaml:1", "tag"),
    config("key twice", "seed: 1\nseed: 2\n", "audit.yaml:2", "twice"),
    config("two documents", "seed: 1\n---\nseed: 2\n", "audit.yaml:"),
    config("list", "- seed\n", "audit.yaml:1"),
    config("text", "seed\n", "audit.yaml:1"),
    config("binary", b"\x00\x01\x02", "audit.yaml"),
    config("UTF-16", "seed: 1\n".encode("utf-16"), "audit.yaml:1", "UTF-8"),
    config("Latin-1", "model: é\n".encode("latin-1"), "audit.yaml:1", "UTF-8"),
    config("nested deep", "model: " + "[" * 500 + "]" * 500, "audit.yaml:1", "deep"),
    config("a line of megabytes", "model: " + "x" * 2_000_000, "audit.yaml", "bytes"),
    config("unknown key", "sed: 1\n", "audit.yaml:1", "seed"),
    config("wrong type", "seed: one\n", "audit.yaml:1"),
    config("Windows line ends", "seed: 1\r\nbudget: soon\r\n", "audit.yaml:2", "soon"),
    config("byte order mark", "seed: 1\nsed: 2\n".encode("utf-8-sig"), "audit.yaml:2"),
    config("huge seed", "seed: 99999999999999999999999\n", "audit.yaml:1"),
    config("no number", "thresholds: {dying-relu: {max_dead_share: .nan}}\n", "audit.yaml:1"),
    config("no such rule", "severity: {dying-rely: info}\n", "audit.yaml:1", "dying-relu"),
    config("symlink loop of a pack", "rules: [mine.yaml]\n", "mine.yaml"),
    toml("not TOML", "seed = ", "not valid TOML"),
    toml("key twice", "seed = 1\nseed = 2", "not valid TOML"),
    toml("wrong type", "seed = 1.5", ":2"),
    toml("a date", "seed = 2026-01-02", ":2"),
    toml("nested deep", "model = " + "[" * 5000 + "]" * 5000),
    Case("config: baseline missing", "run net.py", ("none.json",),
         {"audit.yaml": "baseline: none.json\n", "net.py": GOOD}),
    # Rule packs.
    Case("pack: missing", "rules --rules none.yaml", ("none.yaml",)),
    Case("pack: folder", "rules --rules mine.yaml", ("mine.yaml",), {"mine.yaml": folder}),
    pack("symlink loop", loop),
    pack("empty", ""),
    pack("binary", b"\xff\x00" * 50),
    pack("alias bomb", BOMB, "alias"),
    pack("nested deep", DEEP),
    Case("pack: unknown quantity", "diagnose run.json --rules mine.yaml --select my-rule",
         ("mine.yaml", "no_such_share"),
         {"run.json": REPORT, "mine.yaml": PACK.replace("dead_share", "no_such_share")}),
    pack("a call in a condition", PACK.replace("> most", "> open('x')"), "mine.yaml:10"),
    pack("a deep condition", PACK.replace("> most", "> " + "(" * 230 + "most" + ")" * 230),
         "mine.yaml:10"),
    pack("a huge number", PACK.replace("0.5", "1e999"), "mine.yaml:11"),
    pack("an attribute in a text", PACK.replace('"{layer}"', '"{layer.__class__}"', 1),
         "mine.yaml:12"),
    pack("id of a built-in rule", PACK.replace("my-rule", "dying-relu"), "dying-relu"),
    # Saved runs.
    Case("saved run: missing", "diagnose none.json", ("none.json",)),
    Case("saved run: folder", "diagnose run.json", ("run.json",), {"run.json": folder}),
    saved("symlink loop", loop),
    saved("empty", ""),
    saved("truncated", REPORT[:1000], ":1:"),
    saved("null", "null"),
    saved("list", "[]"),
    saved("text", '"report"'),
    saved("other schema", changed("schema", 2), "schema", "2"),
    saved("no schema", "{}", "schema"),
    saved("key twice", REPORT.replace('{"schema": 1', '{"schema": 1, "schema": 1', 1), "schema",
          "twice"),
    saved("NaN", changed("environment.seed", float("nan")), "NaN"),
    saved("huge number", REPORT.replace('"parameters": 58890', '"parameters": 1e999'), "1e999"),
    saved("number of thousands of digits",
          REPORT.replace('"parameters": 58890', '"parameters": ' + "9" * 6000), "too large"),
    saved("nested deep", DEEP, "deep"),
    saved("nested deep inside", changed("target.x", json.loads("[" * 300 + "]" * 300)), "deep"),
    saved("binary", bytes(range(256)), "UTF-8"),
    saved("UTF-16", REPORT.encode("utf-16"), "UTF-8"),
    saved("a part is missing", REPORT.replace('"findings"', '"foundings"', 1), "findings"),
    saved("wrong type", changed("observations", {}), "observations"),
    saved("text for a list", changed("notes", "a note"), "notes"),
    saved("text for a number", changed("probes.0.seconds", "fast"), "seconds"),
    saved("unknown word", changed("verdicts.overfitting.verdict", "maybe"), "maybe"),
    saved("unknown key", changed("probes.0.color", "red"), "color"),
    saved("series of two lengths", changed("observations.1.series.0.x", [1.0]), "lengths"),
    Case("saved run: a Python file", "diagnose net.py", ("net.py",), {"net.py": GOOD}),
    Case("compare: one is broken", "compare run.json other.json", ("other.json",),
         {"run.json": REPORT, "other.json": REPORT[:500]}),
    # Baselines.
    Case("baseline: missing", "diagnose run.json --baseline none.json", ("none.json",),
         {"run.json": REPORT}),
    baseline("truncated", KNOWN[:-20], "known.json:"),
    baseline("nested deep", DEEP, "deep"),
    baseline("list", "[]"),
    baseline("other schema", changed("schema", 7, KNOWN), "7"),
    baseline("text for a list", changed("known.0.layers", "fc1", KNOWN), "layers"),
    baseline("number for a name", changed("known.0.rule", 3, KNOWN), "rule"),
    baseline("key twice", KNOWN.replace('"schema": 1,', '"schema": 1, "schema": 1,'), "twice"),
    baseline("Latin-1", '{"schema": 1, "é": 1}'.encode("latin-1"), "UTF-8"),
    baseline("symlink loop", loop),
    # Command lines.
    Case("nothing to audit", "run", ("target",)),
    Case("no such command", "runn net.py"),
    Case("no such option", "run net.py --fast", ("--fast",), {"net.py": GOOD}),
    Case("seed is no number", "run net.py --seed one", ("--seed",), {"net.py": GOOD}),
    Case("seed is too large", "run net.py --seed 99999999999999999999", ("seed",),
         {"net.py": GOOD}),
    Case("budget is no time", "run net.py --budget 0s", ("0s",), {"net.py": GOOD}),
    Case("no such profile", "run net.py --profile slow", ("slow",), {"net.py": GOOD}),
    Case("no such device", "run net.py --device warp", ("warp",),
         {"net.py": GOOD + "train_loader = [1]\nloss_fn = torch.nn.MSELoss()\n"}, TARGET),
    Case("no such rule to select", "run net.py --select dying-rely", ("dying-relu",),
         {"net.py": GOOD}),
    Case("all rules ignored", "diagnose run.json --select fit --ignore fit", ("No rule",),
         {"run.json": REPORT}),
    Case("no such threshold", "diagnose run.json --threshold dying-relu.x=1", ("'x'",),
         {"run.json": REPORT}),
    Case("threshold without a value", "diagnose run.json --threshold dying-relu=1", (),
         {"run.json": REPORT}),
    Case("no such format", "diagnose run.json --format word", ("word",), {"run.json": REPORT}),
    Case("no format of this name", "diagnose run.json -o report.docx", ("report.docx",),
         {"run.json": REPORT}),
    Case("no folder", "diagnose run.json -o none/report.html", ("none",), {"run.json": REPORT}),
    Case("output is a folder", "diagnose run.json -o out.html", ("out.html",),
         {"run.json": REPORT, "out.html": folder}),
    Case("output is a Python file", "run net.py --format json -o net.py", ("net.py",),
         {"net.py": GOOD}),
    Case("baseline would replace a Python file", "diagnose run.json --write-baseline net.py",
         ("net.py",), {"run.json": REPORT, "net.py": GOOD}),
    Case("one report to compare", "compare run.json", (), {"run.json": REPORT}),
    Case("no such rule to explain", "explain dying-rely", ("dying-relu",)),
    Case("no folder to configure", "config none", ("none",)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_refused_in_words(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, content in (case.files or {}).items():
        path = tmp_path / name
        if callable(content):
            content(path)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
    if case.name == "config: symlink loop of a pack":
        loop(tmp_path / "mine.yaml")

    # A worker process for each case would import torch anew.
    inside = ["--in-process"] if case.code == TARGET else []
    result = CliRunner().invoke(main, [*case.arguments.split(" "), *inside])

    assert result.exit_code == case.code, result.output
    for words in case.says:
        assert words in result.stderr
    assert "Traceback" not in result.output
    assert "fault of the auditor" not in result.output
    assert len(result.stderr) < 5_000
    assert "\x1b" not in result.stderr and "##[" not in result.stderr
    assert not any(line.lstrip().startswith("::") for line in result.stderr.splitlines())
    net = (case.files or {}).get("net.py")
    assert not isinstance(net, str) or (tmp_path / "net.py").read_text(encoding="utf-8") == net


def test_there_are_sixty_kinds() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 60
