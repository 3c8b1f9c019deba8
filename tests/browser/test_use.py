"""What the page does under the hands of a reader, by mouse and by keyboard."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from browser_pages import Visit
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.browser
FOLDED = "cannot-overfit"


def _tip(chart: Locator) -> Locator:
    return chart.locator("xpath=..").locator(".tip")


def _first_chart(page: Page) -> Locator:
    chart = page.locator("svg[data-series]:visible").first
    chart.scroll_into_view_if_needed()
    return chart


def _is_in_view(page: Page, selector: str) -> bool:
    box = page.locator(selector).bounding_box()
    size = page.viewport_size
    return bool(box and size and -1 <= box["y"] < size["height"])


def test_the_pointer_shows_the_values_under_it(visit: Callable[..., Visit]) -> None:
    page = visit("failing").page
    chart = _first_chart(page)
    chart.hover()
    here = _tip(chart).inner_text()
    chart.hover(position={"x": 120, "y": 60})

    assert ":" in here
    assert _tip(chart).inner_text() != here


def test_the_values_go_with_the_pointer(visit: Callable[..., Visit]) -> None:
    page = visit("failing").page
    chart = _first_chart(page)
    chart.hover()
    page.mouse.move(2, 2)

    assert _tip(chart).is_hidden()


def test_arrow_keys_walk_through_the_values(visit: Callable[..., Visit]) -> None:
    page = visit("failing").page
    chart = _first_chart(page)
    chart.focus()
    page.keyboard.press("ArrowRight")
    first = _tip(chart).inner_text()
    page.keyboard.press("ArrowRight")

    assert first and _tip(chart).inner_text() != first
    page.keyboard.press("Escape")
    assert _tip(chart).is_hidden()


@pytest.mark.parametrize("hand", ["mouse", "keyboard"])
def test_a_fix_is_copied_without_its_signs(hand: str, visit: Callable[..., Visit]) -> None:
    page = visit("failing").page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    button = page.locator("#dying-relu pre[data-copy] button").first
    if hand == "mouse":
        button.click()
    else:
        button.focus()
        page.keyboard.press("Enter")
    page.get_by_text("Copied").first.wait_for()

    copied = page.evaluate("() => navigator.clipboard.readText()")
    assert copied.strip() == "nn.init.zeros_(self.gate.bias)"


@pytest.mark.parametrize("hand", ["mouse", "keyboard"])
def test_a_fold_opens_and_closes(hand: str, visit: Callable[..., Visit]) -> None:
    page = visit("failing").page
    fold = page.locator("details", has=page.locator(f"#{FOLDED}")).last
    summary = fold.locator("summary").first

    for wanted in (True, False):
        if hand == "mouse":
            summary.click()
        else:
            summary.focus()
            page.keyboard.press("Enter")
        assert page.locator(f"#{FOLDED}").is_visible() is wanted


@pytest.mark.parametrize("hand", ["mouse", "keyboard"])
def test_a_link_to_a_folded_finding_opens_it(hand: str, visit: Callable[..., Visit]) -> None:
    page = visit("failing").page
    assert page.locator(f"#{FOLDED}").is_hidden()
    link = page.locator(f"a[href='#{FOLDED}']:visible").first
    if hand == "mouse":
        link.click()
    else:
        link.focus()
        page.keyboard.press("Enter")

    page.locator(f"#{FOLDED}").wait_for(state="visible")
    assert _is_in_view(page, f"#{FOLDED}")


def test_an_address_with_a_finding_leads_to_it(visit: Callable[..., Visit]) -> None:
    page = visit("failing", f"#{FOLDED}").page

    assert page.locator(f"#{FOLDED}").is_visible()
    assert _is_in_view(page, f"#{FOLDED}")


def test_the_first_key_offers_the_way_to_the_findings(visit: Callable[..., Visit]) -> None:
    page = visit("failing").page
    page.keyboard.press("Tab")

    assert page.evaluate("() => document.activeElement.getAttribute('href')") == "#findings"


def test_a_cell_of_the_model_map_leads_to_its_finding(visit: Callable[..., Visit]) -> None:
    page = visit("measured").page
    page.locator(".strip a").first.click()

    assert page.url.endswith("#dying-relu")
    assert _is_in_view(page, "#dying-relu")
