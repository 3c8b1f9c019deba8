"""Our own sources never run text, unpickle, reach the network, or read YAML that makes objects.

The user's file is run, that is what an audit is; nothing else that is read is ever code.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

WINGS = ("auditor", "auditor.probes", "auditor.rules", "auditor.rules.remedies", "auditor.reports")
# Modules that turn data into objects, or talk to other machines.
NEVER_IMPORTED = {
    "pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "socket",
    "ssl", "http", "urllib", "urllib3", "requests", "httpx", "aiohttp", "ftplib", "smtplib",
    "telnetlib", "xmlrpc", "asyncio", "socketserver", "code", "pty",
}
# `urllib.parse` quotes text; it opens nothing.
HARMLESS = {"urllib.parse"}
NEVER_CALLED = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "yaml.load", "yaml.load_all",
    "yaml.unsafe_load", "yaml.full_load", "torch.load", "torch.save", "torch.hub.load",
    "numpy.load", "np.load", "tempfile.mktemp",
}


def sources() -> Iterator[Path]:
    for wing in WINGS:
        yield from sorted(Path(str(files(wing))).glob("*.py"))


def imports(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


@pytest.mark.parametrize("path", tuple(sources()),
                         ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_source_runs_no_text_and_reaches_nothing(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))

    bad = {name for name in imports(tree) if name.partition(".")[0] in NEVER_IMPORTED
           and ".".join(name.split(".")[:2]) not in HARMLESS}
    called = {name for name, _ in calls(tree)} & NEVER_CALLED
    shells = [node.lineno for _, node in calls(tree) for keyword in node.keywords
              if keyword.arg == "shell"]
    assert not (bad or called or shells)


def test_templates_escape_what_they_are_given() -> None:
    texts = [ast.parse(path.read_text(encoding="utf-8")) for path in sources()]
    environments = [node for tree in texts for name, node in calls(tree)
                    if name.rpartition(".")[2] == "Environment"]

    assert environments
    for node in environments:
        settings = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        assert settings.get("autoescape") == "True"
