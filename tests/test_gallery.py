"""The gallery shows what it promises, and stays small."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from auditor.report import Report

GALLERY = Path(__file__).resolve().parents[1] / "examples" / "gallery"
ROOTS = {
    "lenet": set(), "bert": set(), "gpt2": set(),
    "zero_init": {"zero-init-symmetry"}, "dying_relu": {"nonzero-bias-init"},
    "tanh_saturated": {"init-too-large"}, "rate_too_high": {"lr-too-high"},
    "overfitting": {"overfitting"},
}
# What GitHub and a mail still carry with ease.
LARGEST_FOLDER, LARGEST_PAGE, LARGEST_SCREENSHOT = 6_000_000, 500_000, 150_000

pytestmark = pytest.mark.skipif(
    not (GALLERY / "reports").is_dir(), reason="looks at the checkout, which a wheel has not")


def _report(name: str) -> Report:
    saved = GALLERY / "reports" / f"{name}.json"
    return Report.from_json(json.loads(saved.read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", ROOTS)
def test_the_saved_report_names_the_fault_and_no_other(name: str) -> None:
    report = _report(name)

    assert {f.rule for f in report.roots if f.severity != "info"} == ROOTS[name]
    assert report.verdict == "pass" or ROOTS[name]


@pytest.mark.parametrize("name", ROOTS)
def test_every_member_has_all_its_reports(name: str) -> None:
    for suffix in ("json", "html", "md", "png"):
        assert (GALLERY / "reports" / f"{name}.{suffix}").is_file()
    assert (GALLERY / f"{name}.py").is_file()


@pytest.mark.parametrize("name", ROOTS)
def test_pictures_of_the_markdown_are_there_and_no_others(name: str) -> None:
    text = (GALLERY / "reports" / f"{name}.md").read_text(encoding="utf-8")
    pictures = {path.name for path in (GALLERY / "reports" / f"{name}.assets").glob("*")}

    assert pictures
    assert set(re.findall(rf"\]\({name}\.assets/([^)]+)\)", text)) == pictures


def test_the_gallery_stays_small() -> None:
    sizes = {path: path.stat().st_size for path in GALLERY.rglob("*") if path.is_file()}

    assert sum(sizes.values()) < LARGEST_FOLDER
    assert all(size < LARGEST_PAGE for path, size in sizes.items() if path.suffix == ".html")
    assert all(size < LARGEST_SCREENSHOT for path, size in sizes.items() if path.suffix == ".png")
    assert sizes[GALLERY / "reports" / "lenet.html"] < 300_000
