"""The summary of a job: whole where it fits, cut between its blocks where it does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from sample_reports import failing

from auditor import registry
from auditor.ci import append_summary, in_github_actions, no_commands, shortened

RENDERERS = registry.renderers().items


def test_the_summary_is_appended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))

    append_summary(failing(), RENDERERS)

    text = summary.read_text(encoding="utf-8")
    assert text == "before\n" + RENDERERS["markdown"].render(failing())


def test_a_large_report_stays_below_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    first = failing().findings[0]
    many = tuple(replace(first, rule=f"rule-{n}", message="long " * 2000) for n in range(200))

    append_summary(replace(failing(), findings=many), RENDERERS)

    assert 400_000 < summary.stat().st_size < 900_000
    assert "This summary is cut" in summary.read_text(encoding="utf-8")


@pytest.mark.parametrize("most", [600, 2000, 5000, 8000])
def test_a_cut_closes_what_it_opens(most: int) -> None:
    text = shortened(RENDERERS["markdown"].render(failing()), most)

    assert len(text.encode()) <= most
    assert text.count("<details>") == text.count("</details>")
    assert "left out" in MarkdownIt("commonmark", {"html": True}).enable("table").render(text)


def test_only_a_workflow_of_github_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not in_github_actions()
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert in_github_actions()


def test_what_is_printed_inside_cannot_be_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    with no_commands():
        print("::error::not a command")

    begin, inside, end = capsys.readouterr().out.splitlines()
    token = begin.removeprefix("::stop-commands::")
    assert len(token) == 32 and end == f"::{token}::"
    assert inside == "::error::not a command"
