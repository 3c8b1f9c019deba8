from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt
from sample_deep import deep
from sample_hostile import hostile
from sample_reports import failing, healthy, incomplete

from auditor.report import Report

SAMPLES = {"failing": failing(), "healthy": healthy(), "incomplete": incomplete()}
renderer = import_module("auditor.reports.markdown").MarkdownRenderer()
render: Callable[[Report], str] = renderer.render
SVG = "{http://www.w3.org/2000/svg}"


def _html(report: Report, text: str = "") -> str:
    """Render as GitHub would: tables and raw HTML, addresses made into links."""
    reader = MarkdownIt("commonmark", {"html": True}).enable("table")
    return str(reader.render(text or render(report)))


def _tags(html: str) -> set[str]:
    return set(re.findall(r"<([a-z][a-z0-9]*)", html))


def _outside_code(html: str) -> str:
    return re.sub(r"<code[^>]*>.*?</code>", "", html, flags=re.DOTALL)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_text_is_the_golden_one(
    name: str, same_as_golden: Callable[[str, str], None],
) -> None:
    same_as_golden(render(SAMPLES[name]), f"{name}.md")


@pytest.mark.parametrize("report", [failing(), healthy(), incomplete(), hostile()])
def test_only_the_expected_tags_come_out(report: Report) -> None:
    expected = {"h3", "h4", "p", "strong", "code", "pre", "table", "thead", "tbody", "tr", "th",
                "td", "details", "summary", "b", "ul", "li", "a"}

    assert _tags(_html(report)) <= expected


@pytest.mark.parametrize("report", [failing(), hostile()])
def test_every_fold_is_closed(report: Report) -> None:
    html = _outside_code(_html(report))

    assert html.count("<details>") == html.count("</details>") == html.count("<summary>")
    assert html.count("</summary>") == html.count("<summary>")


def test_strings_of_the_user_make_no_link_image_or_mention() -> None:
    html = _outside_code(_html(hostile()))

    for live in ("octocat", "#123", "evil", "<script", "<img", "alert(1)", ":tada:", "<em>", "$x$"):
        assert live not in html


def test_references_may_link() -> None:
    links = re.findall(r'<a href="([^"]+)"', _html(hostile()))

    assert links == [
        "https://pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html"]


def test_a_pipe_does_not_split_a_cell() -> None:
    rows = re.findall(r"<tr>(.*?)</tr>", _html(hostile()), flags=re.DOTALL)

    assert "a|b" in " ".join(rows)
    tables = re.findall(r"<table>(.*?)</table>", _html(hostile()), flags=re.DOTALL)
    for table in tables:
        assert len({len(re.findall("<t[dh][ >]", row)) for row in table.split("</tr>")[:-1]}) == 1


def test_a_fence_in_a_snippet_closes_nothing() -> None:
    blocks = re.findall(r"<pre><code[^>]*>(.*?)</code></pre>", _html(hostile()), flags=re.DOTALL)

    assert any("```\n~~~\n" in block and "&lt;script&gt;" in block for block in blocks)


def test_brackets_in_prose_survive() -> None:
    assert "With inputs in [0, 1] and 10 classes" in _html(failing())


def test_every_finding_is_told_in_full() -> None:
    html = _html(failing())

    for finding in failing().findings:
        assert html.count(f"<code>audit explain {finding.rule}</code>") == 1


def test_causes_are_open_and_what_follows_from_them_is_folded() -> None:
    shown = re.sub(r"<details>.*?</details>", "", render(failing()), flags=re.DOTALL)

    assert "`dying-relu`: All 64 units of gate are dead" in shown
    assert "audit explain lr-too-high" in shown
    assert "audit explain cannot-overfit" not in shown


def test_what_to_do_first_stands_before_all_details() -> None:
    before, _, _ = render(failing()).partition("| --- |")

    assert "**Fix first: `dying-relu`** at `model.py:18:9`" in before
    assert "**Do.** Use a leaky ReLU, which cannot die. Not tried." in before
    assert "**Tried.** Helps: accuracy after 60 steps 11 % -> 87 %" in before


@pytest.mark.parametrize("report", [failing(), healthy(), hostile(), deep()])
def test_pictures_are_named_once_written_and_can_be_read(report: Report) -> None:
    text, pictures = renderer.render_with_pictures(report, "r.assets")
    shown = re.findall(r'<img src="([^"]+)" alt="([^"]*)"', _html(report, text))

    assert {target for target, _ in shown} == {f"r.assets/{name}" for name in pictures}
    assert all(alt for _, alt in shown)
    for name, picture in pictures.items():
        root = ElementTree.fromstring(picture)
        assert re.fullmatch(r"[a-zA-Z0-9-]+\.svg", name)
        assert root.tag == f"{SVG}svg" and root[0].tag == f"{SVG}title"
        assert float(root.attrib["width"]) > 0 and float(root.attrib["height"]) > 0


def test_a_picture_is_dark_where_its_reader_is() -> None:
    _, pictures = renderer.render_with_pictures(failing(), "r.assets")

    for picture in pictures.values():
        style = ElementTree.fromstring(picture).find(f"{SVG}style")
        assert style is not None and style.text
        assert "prefers-color-scheme: dark" in style.text
        used = set(re.findall(r"var\((--\w+)\)", style.text))
        assert used <= set(re.findall(r"(--\w+):", style.text))


def test_a_folder_with_blanks_and_brackets_can_be_linked() -> None:
    text, pictures = renderer.render_with_pictures(failing(), "my (new) report.assets")
    shown = re.findall(r'<img src="([^"]+)"', _html(failing(), text))

    assert {unquote(target) for target in shown} == {
        f"my (new) report.assets/{name}" for name in pictures}


def test_without_a_folder_curves_are_lines_of_text() -> None:
    assert "▁" in render(failing()) and "![" not in render(failing())


def test_the_model_is_a_table_with_its_findings() -> None:
    assert "`model.py:19:62` | ❌ `double-softmax` |" in render(failing())


def test_what_was_not_judged_is_never_folded() -> None:
    shown = re.sub(r"<details>.*?</details>", "", render(incomplete()), flags=re.DOTALL)

    assert "| `lr-too-high`, `lr-too-low` | not measured |" in shown


def test_an_empty_report_can_be_written() -> None:
    assert render(Report("incomplete")).startswith("### No fault was found")
