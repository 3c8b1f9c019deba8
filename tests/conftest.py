"""One thread, no plugins of other people, and golden files that an option rewrites."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable

import pytest

# Read when torch is imported, so set before any test module is.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["AUDITOR_PLUGINS"] = "none"
# Torch is loaded in here; a worker for each audit would load it again.
os.environ["AUDITOR_IN_PROCESS"] = "1"
# What one test measures is nobody else's, and a workflow that runs the tests keeps its summary.
_CACHE = tempfile.TemporaryDirectory(prefix="auditor-cache-")
os.environ["AUDITOR_CACHE"] = _CACHE.name
for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
    os.environ.pop(name, None)


# A shell gives its background jobs an interrupt that is ignored; the tests send and expect one.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true",
                     help="rewrite the golden files with what the tests got")
    parser.addoption("--all-members", action="store_true",
                     help="audit the slow members of the zoo too")


@pytest.fixture
def same_as_golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Return a check of a text against `golden/<name>` beside the test."""
    folder = request.path.parent / "golden"

    def check(text: str, name: str) -> None:
        path = folder / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
        assert text == path.read_text(encoding="utf-8"), f"{path} differs (--update-golden)"

    return check
