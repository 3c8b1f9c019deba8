"""A report with pictures beside it: which files are written, and which are left alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from auditor.errors import UsageError
from auditor.output import write_report
from auditor.report import Report

REPORT = Report("pass")


class Drawing:
    """Renders the names of its pictures."""

    name: str = "drawing"
    suffixes: tuple[str, ...] = (".md",)
    says: str = ""

    def __init__(self, *names: str) -> None:
        self._names = names

    def render(self, report: Report) -> str:
        return "no picture"

    def render_with_pictures(self, report: Report, folder: str) -> tuple[str, Mapping[str, str]]:
        return (" ".join(f"{folder}/{name}" for name in self._names),
                {name: "<svg/>" for name in self._names})


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_pictures_lie_beside_the_report_that_names_them(tmp_path: Path) -> None:
    write_report(tmp_path / "r.md", Drawing("a.svg", "b.svg"), REPORT)

    assert (tmp_path / "r.md").read_text() == "r.assets/a.svg r.assets/b.svg"
    assert files(tmp_path) == {"r.md", "r.assets/a.svg", "r.assets/b.svg"}


def test_pictures_of_an_earlier_report_go(tmp_path: Path) -> None:
    write_report(tmp_path / "r.md", Drawing("a.svg", "b.svg"), REPORT)
    write_report(tmp_path / "r.md", Drawing("b.svg"), REPORT)

    assert files(tmp_path) == {"r.md", "r.assets/b.svg"}


def test_the_folder_goes_with_its_last_picture(tmp_path: Path) -> None:
    write_report(tmp_path / "r.md", Drawing("a.svg"), REPORT)
    write_report(tmp_path / "r.md", Drawing(), REPORT)

    assert [path.name for path in tmp_path.iterdir()] == ["r.md"]


def test_files_of_somebody_else_stay(tmp_path: Path) -> None:
    write_report(tmp_path / "r.md", Drawing("a.svg"), REPORT)
    (tmp_path / "r.assets" / "mine.svg").write_text("<svg/>")
    write_report(tmp_path / "r.md", Drawing(), REPORT)

    assert files(tmp_path) == {"r.md", "r.assets/mine.svg"}


def test_a_file_of_somebody_else_under_the_name_of_a_picture_stays(tmp_path: Path) -> None:
    (tmp_path / "r.assets").mkdir()
    (tmp_path / "r.assets" / "a.svg").write_text("mine")

    with pytest.raises(UsageError, match=r"a\.svg is no picture of an audit"):
        write_report(tmp_path / "r.md", Drawing("a.svg"), REPORT)
    assert (tmp_path / "r.assets" / "a.svg").read_text() == "mine"


def test_a_file_where_the_folder_should_be_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "r.assets").write_text("mine")

    with pytest.raises(UsageError, match=r"r\.assets"):
        write_report(tmp_path / "r.md", Drawing("a.svg"), REPORT)


def test_a_report_for_a_device_has_no_pictures_and_leaves_the_device(tmp_path: Path) -> None:
    null = Path("/dev/null")

    write_report(null, Drawing("a.svg"), REPORT)

    assert null.is_char_device()
    assert not Path("/dev/null.assets").exists()
