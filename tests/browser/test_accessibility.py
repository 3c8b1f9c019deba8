"""axe-core finds nothing that keeps a reader out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from browser_pages import Visit

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("name", "scheme"), [
    ("failing", "light"), ("failing", "dark"), ("healthy", "light"),
    ("measured", "light"),
])
def test_axe_has_nothing_to_say(name: str, scheme: str, visit: Callable[..., Visit]) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="no axe-core (auditor[browser])")
    page = visit(name, color_scheme=scheme).page
    page.evaluate("() => document.querySelectorAll('details').forEach(fold => fold.open = true)")
    found = axe.Axe().run(page)

    assert found.violations_count == 0, found.generate_report()
