"""Pages of sample reports in a real, headless Chromium; skipped where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sample_deep import deep
from sample_hostile import hostile
from sample_measured import measured
from sample_reports import failing, healthy, incomplete

from auditor.report import Report

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_REPORTS: dict[str, Callable[[], Report]] = {
    "failing": failing, "healthy": healthy, "incomplete": incomplete, "hostile": hostile,
    "deep": deep, "measured": measured,
}
# Longer than anything here takes on a loaded machine; a hanging test must not hang the rest.
_PATIENCE_MS = 20_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start the Chromium of the system; its driver, a process with threads, ends with a module."""
    driver = pytest.importorskip(
        "playwright.sync_api", reason="no playwright (pip install 'auditor[browser]')")
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        pytest.skip("no Chromium on this machine (apt-get install chromium)")
    with driver.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program)
        yield started
        started.close()


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Return what gives the address of a sample's page, written once."""
    render = import_module("auditor.reports.html").HtmlRenderer().render
    folder: Path = tmp_path_factory.mktemp("pages")

    def address(name: str) -> str:
        path = folder / f"{name}.html"
        if not path.exists():
            path.write_text(render(_REPORTS[name]()), encoding="utf-8")
        return path.as_uri()

    return address


class Visit:
    """A page that was opened, and everything it did beside showing itself.

    Attributes:
        page: To look at and to act on.
        asked: Addresses that it asked for.
        complaints: Errors and warnings on its console, and exceptions.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.asked: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda said: self.complaints.append(said.text)
                if said.type in ("error", "warning") else None)


@pytest.fixture
def visit(browser: Browser, pages: Callable[[str], str]) -> Iterator[Callable[..., Visit]]:
    """Return what opens a sample's page; further arguments are those of a browser's context."""
    contexts = []

    def opened(name: str, anchor: str = "", **options: Any) -> Visit:
        size = {"width": 1200, "height": 800}
        context = browser.new_context(offline=True, **{"viewport": size, **options})
        context.set_default_timeout(_PATIENCE_MS)
        contexts.append(context)
        visited = Visit(context.new_page())
        visited.page.goto(pages(name) + anchor)
        return visited

    yield opened
    for context in contexts:
        context.close()
