"""What the page is without anybody touching it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from browser_pages import Visit
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
SAMPLES = ("failing", "healthy", "hostile", "deep", "measured")

# The brightness, 0 to 255, of the first colour behind an element that is not see-through.
_BRIGHTNESS = """element => {
  for (; element; element = element.parentElement) {
    const color = getComputedStyle(element).backgroundColor;
    const [r, g, b, a = 1] = color.match(/[\\d.]+/g).map(Number);
    if (a > 0) return (r + g + b) / 3;
  }
  return 255;
}"""
# The contrast, 1 to 21, of the faintest words in a picture against what is behind them.
_FAINTEST = """() => {
  const light = color => {
    const [r, g, b] = color.match(/[\\d.]+/g).map(v => {
      const share = Number(v) / 255;
      return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = element => {
    for (; element; element = element.parentElement) {
      const color = getComputedStyle(element).backgroundColor;
      if (!/, 0\\)$/.test(color)) return light(color);
    }
    return 1;
  };
  return Math.min(...[...document.querySelectorAll('svg[role=img] text')].map(words => {
    const pair = [light(getComputedStyle(words).fill), behind(words)].sort((a, b) => b - a);
    return (pair[0] + 0.05) / (pair[1] + 0.05);
  }));
}"""
_OPEN_ALL = "() => document.querySelectorAll('details').forEach(fold => { fold.open = true; })"
# Every chart with its size on the screen, how many shapes it holds, and whether its words fit.
_CHARTS = """() => [...document.querySelectorAll('svg[role=img]')].map(svg => {
  const box = svg.getBoundingClientRect();
  const marks = [...svg.querySelectorAll('path, polyline, rect, circle, line, polygon')];
  return {width: box.width, height: box.height, drawn: marks.filter(mark => {
    const size = mark.getBoundingClientRect();
    return size.width + size.height > 0;
  }).length};
})"""


@pytest.mark.parametrize("name", SAMPLES)
def test_the_page_asks_for_nothing_and_complains_of_nothing(
    name: str, visit: Callable[..., Visit],
) -> None:
    visited = visit(name)

    assert visited.asked == [visited.page.url]
    assert visited.complaints == []


@pytest.mark.parametrize("name", SAMPLES)
def test_every_chart_is_drawn(name: str, visit: Callable[..., Visit]) -> None:
    page = visit(name).page
    page.evaluate(_OPEN_ALL)
    charts = page.evaluate(_CHARTS)

    assert charts
    assert all(chart["width"] > 200 and chart["height"] > 20 for chart in charts), charts
    assert all(chart["drawn"] > 0 for chart in charts), charts


def test_charts_are_drawn_without_script_and_style(visit: Callable[..., Visit]) -> None:
    page = visit("failing", java_script_enabled=False).page

    assert page.locator("svg[role=img]").first.bounding_box()
    assert page.locator("h1").inner_text().startswith("model.py will not train")


def test_the_page_follows_the_dark_scheme_of_the_reader(visit: Callable[..., Visit]) -> None:
    bright = visit("failing").page.locator("body").evaluate(_BRIGHTNESS)
    dark = visit("failing", color_scheme="dark").page

    assert bright > 200
    assert dark.locator("body").evaluate(_BRIGHTNESS) < 60
    assert dark.locator("article").first.evaluate(_BRIGHTNESS) < 60
    assert dark.locator("pre").first.evaluate(_BRIGHTNESS) < 60


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_in_pictures_can_be_read(scheme: str, visit: Callable[..., Visit]) -> None:
    # axe-core does not look into pictures; 4.5 is what WCAG asks for at level AA.
    assert visit("failing", color_scheme=scheme).page.evaluate(_FAINTEST) >= 4.5


@pytest.mark.parametrize("name", SAMPLES)
def test_a_phone_need_not_scroll_sideways(name: str, visit: Callable[..., Visit]) -> None:
    page = visit(name, viewport={"width": 360, "height": 740}, is_mobile=True).page
    page.evaluate(_OPEN_ALL)

    assert page.evaluate("() => document.documentElement.scrollWidth") <= 360


def test_the_first_screen_says_what_is_wrong_and_what_to_do(
    visit: Callable[..., Visit],
) -> None:
    page = visit("failing").page

    assert _is_on_first_screen(page, "h1")
    assert _is_on_first_screen(page, "a[href='#dying-relu']")


def test_print_shows_what_is_folded(visit: Callable[..., Visit]) -> None:
    page = visit("failing").page
    document = page.pdf(format="A4")

    assert document.startswith(b"%PDF-")
    # Folded, the same page prints on fewer sheets.
    page.evaluate("() => document.querySelectorAll('details').forEach(fold => fold.remove())")
    assert _sheets(document) > _sheets(page.pdf(format="A4"))


def _sheets(document: bytes) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", document))


def _is_on_first_screen(page: Page, selector: str) -> bool:
    box = page.locator(selector).first.bounding_box()
    size = page.viewport_size
    return bool(box and size and box["y"] + box["height"] <= size["height"])
