from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from importlib import import_module
from xml.etree import ElementTree

import pytest
from sample_hostile import hostile
from sample_measured import measured
from sample_reports import failing, healthy, incomplete

from auditor.observation import Observation, Series
from auditor.report import Report

SAMPLES = {"failing": failing(), "healthy": healthy(), "incomplete": incomplete(),
           "hostile": hostile(), "measured": measured()}
VOID = {"meta"}
render: Callable[[Report], str] = import_module("auditor.reports.html").HtmlRenderer().render


class Page(HTMLParser):
    """Collects the elements of a page and checks that they nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def values(self, name: str) -> list[str]:
        """Return the values of an attribute, in the order of the page."""
        return [attributes[name] for _, attributes in self.elements if name in attributes]


@pytest.mark.parametrize("name", ["failing", "healthy", "incomplete"])
def test_the_page_is_the_golden_one(
    name: str, same_as_golden: Callable[[str, str], None],
) -> None:
    same_as_golden(render(SAMPLES[name]), f"{name}.html")


@pytest.mark.parametrize("name", SAMPLES)
def test_nothing_is_loaded_and_no_attribute_acts(name: str) -> None:
    page = Page(render(SAMPLES[name]))

    for tag, attributes in page.elements:
        assert tag not in {"img", "link", "iframe", "object", "embed", "form", "base", "use"}
        assert not any(key.startswith("on") or key in {"src", "style"} for key in attributes)
    assert all(target.startswith(("#", "https://pytorch.org/")) for target in page.values("href"))


@pytest.mark.parametrize("name", SAMPLES)
def test_the_policy_allows_exactly_the_style_and_the_script_of_the_page(name: str) -> None:
    html = render(SAMPLES[name])
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)
    assert policy

    for tag in ("style", "script"):
        (body,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy[1].replace("&#39;", "'")
    assert policy[1].startswith("default-src 'none';")


@pytest.mark.parametrize("name", SAMPLES)
def test_ids_are_unique_and_every_link_has_its_target(name: str) -> None:
    page = Page(render(SAMPLES[name]))
    ids = page.values("id")

    assert len(ids) == len(set(ids))
    named = {word for value in page.values("aria-labelledby") for word in value.split()}
    linked = {target[1:] for target in page.values("href") if target.startswith("#")}
    assert named | linked <= set(ids)


@pytest.mark.parametrize("name", SAMPLES)
def test_charts_are_well_formed_and_described(name: str) -> None:
    charts = re.findall(r"<svg.*?</svg>", render(SAMPLES[name]), flags=re.DOTALL)

    assert charts
    for chart in charts:
        root = ElementTree.fromstring(chart)
        assert root.get("role") == "img"
        assert all(root.find(f"{{http://www.w3.org/2000/svg}}{part}") is not None
                   for part in ("title", "desc"))


def test_strings_of_the_user_stay_text() -> None:
    html = render(hostile())
    page = Page(html)

    assert [tag for tag, _ in page.elements].count("script") == 1
    assert not set("\x1b\x07\u202e") & set(html)
    assert any("<img src=x onerror=alert(2)>" in text for text in page.text)


def test_a_verdict_is_the_title_and_the_heading() -> None:
    html = render(incomplete())

    assert html.count("No fault was found in lenet.py, but 3 of 14 checks could not be made") == 2


def test_what_was_not_judged_is_not_folded() -> None:
    before, _, _ = render(incomplete()).partition("lr-too-high, lr-too-low")

    assert before.count("<details") == before.count("</details")


def test_every_picture_has_its_values_as_a_table() -> None:
    html = render(failing())

    assert html.count("<svg") == html.count("Values as a table") > 0


def test_a_long_run_of_a_deep_model_gives_a_page_that_opens() -> None:
    steps = tuple(float(i) for i in range(5000))
    deep = tuple(Series("gradient_rms", f"layers.{i}.weight", steps,
                        tuple(10.0 ** (-i / 20 - (x % 7) / 10) for x in steps), "step", "")
                 for i in range(200))

    page = render(replace(failing(), observations=(Observation("layers", series=deep),)))

    assert len(page) < 500_000
    assert "8 of 200 lines are drawn." in page


@pytest.mark.parametrize(("layers", "bytes_"), [(5, 300_000), (600, 2_000_000)])
def test_a_page_is_small_whatever_the_depth(layers: int, bytes_: int) -> None:
    assert len(render(measured(layers)).encode()) < bytes_


def test_a_page_is_written_in_half_a_second() -> None:
    report = measured(5)
    render(report)
    begin = time.process_time()
    render(report)

    assert time.process_time() - begin < 0.5


def test_the_first_screen_says_what_to_do_and_whether_it_was_tried() -> None:
    (screen,) = re.findall(r"<section class=.summary.*?</section>", render(failing()), re.DOTALL)
    said = " ".join(" ".join(Page(screen).text).split())

    assert "Do first Use a leaky ReLU" in said
    assert "Tried not tried" in said
    assert "All 2 fixes together: accuracy after 60 steps 10 % -> 78 to 87 %" in said


def test_what_follows_stands_under_its_cause_and_once() -> None:
    html = render(failing())
    causes = [html.index(f'<article id="{rule}"') for rule in
              ("dying-relu", "cannot-overfit", "double-softmax")]

    assert html.count('<article id="cannot-overfit"') == 1
    assert causes[0] < causes[1]
    assert "What follows from" in html


def test_the_map_of_the_model_leads_to_the_findings() -> None:
    page = Page(render(measured()))
    cells = [attributes for _, attributes in page.elements
             if attributes.get("class") == "error-cell"]

    assert [cell["href"] for cell in cells] == ["#dying-relu"] * 2
    assert "blocks.0:relu (relu)" in cells[0]["aria-label"]


def test_the_mended_curve_is_green_and_the_other_dashed_grey() -> None:
    html = render(failing())
    (trial,) = [svg for svg in re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)
                if ">mended</text>" in svg][:1]

    assert re.search(r'<polyline class="s-green"[^>]*stroke-width="2" stroke-linejoin', trial)
    assert re.search(r'<polyline class="s-grey"[^>]*stroke-dasharray', trial)


def test_rendering_twice_gives_the_same_bytes() -> None:
    assert render(failing()) == render(failing())


def test_an_empty_report_is_a_page() -> None:
    assert Page(render(Report("incomplete"))).elements
