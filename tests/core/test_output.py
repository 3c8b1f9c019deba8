"""Which file gets which format."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor import registry
from auditor.errors import UsageError
from auditor.output import plan_outputs, renderer_for

RENDERERS = registry.renderers().items


@pytest.mark.parametrize(("name", "format_name"), [
    ("r.json", "json"), ("r.md", "markdown"), ("r.html", "html"), ("r.sarif", "sarif"),
    ("r.sarif.json", "sarif"), ("r.junit.xml", "junit"), ("r.xml", "junit"),
    ("r.gitlab.json", "gitlab"), ("gl-code-quality-report.json", "gitlab"), ("r.txt", "terminal"),
])
def test_the_ending_of_a_file_chooses_its_format(name: str, format_name: str) -> None:
    assert renderer_for(Path(name), RENDERERS).name == format_name


def test_several_files_have_each_their_format() -> None:
    files, screen = plan_outputs(["a.sarif", "b.junit.xml", "c.dat"], "json", RENDERERS)

    assert [renderer.name for _, renderer in files] == ["sarif", "junit", "json"]
    assert screen.name == "terminal"


def test_an_unknown_ending_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"\.sarif"):
        renderer_for(Path("report.docx"), RENDERERS)


def test_standard_output_is_no_file() -> None:
    with pytest.raises(UsageError, match="--format NAME writes to stdout"):
        plan_outputs(["-"], "markdown", RENDERERS)
