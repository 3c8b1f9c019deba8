from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module

import pytest
from markdown_it import MarkdownIt
from sample_hostile import hostile
from sample_reports import failing, healthy, incomplete

from auditor.report import Report

SAMPLES = {"failing": failing(), "healthy": healthy(), "incomplete": incomplete()}
render: Callable[[Report], str] = (
    import_module("auditor.reports.markdown").MarkdownRenderer().render)


def _html(report: Report) -> str:
    """Render as GitHub would: tables and raw HTML, addresses made into links."""
    reader = MarkdownIt("commonmark", {"html": True}).enable("table")
    return str(reader.render(render(report)))


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
    assert {len(re.findall("<t[dh]", row)) for row in rows} <= {2, 3, 5}


def test_a_fence_in_a_snippet_closes_nothing() -> None:
    blocks = re.findall(r"<pre><code[^>]*>(.*?)</code></pre>", _html(hostile()), flags=re.DOTALL)

    assert any("```\n~~~\n" in block and "&lt;script&gt;" in block for block in blocks)


def test_brackets_in_prose_survive() -> None:
    assert "With inputs in [0, 1] and 10 classes" in _html(failing())


def test_every_finding_is_told_in_full() -> None:
    text = render(failing())

    for finding in failing().findings:
        assert text.count(f"<details><summary><b>{finding.rule}</b>") == 1


def test_what_was_not_judged_is_never_folded() -> None:
    shown = re.sub(r"<details>.*?</details>", "", render(incomplete()), flags=re.DOTALL)

    assert "| `lr-too-high`, `lr-too-low` | not measured |" in shown


def test_an_empty_report_can_be_written() -> None:
    assert render(Report("incomplete")).startswith("### No fault was found")
