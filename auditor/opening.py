"""Shows a report in the reader's browser."""

from __future__ import annotations

import os
import tempfile
import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path

from auditor.ci import in_github_actions
from auditor.output import write_file
from auditor.report import Renderer, Report

_PAGE = "html"
_NO = ("", "0", "false")


def open_report(
    report: Report, files: Sequence[tuple[Path, Renderer]], renderers: Mapping[str, Renderer],
) -> str:
    """Open the page among the files, else one in a new folder of the system's.

    Returns:
        Where the page lies, and whether it was opened: in CI nothing is.

    Raises:
        UsageError: The page cannot be written.
    """
    page = next((path for path, renderer in files if renderer.name == _PAGE), None)
    if page is None:
        page = Path(tempfile.mkdtemp(prefix="audit-")) / "report.html"
        write_file(page, renderers[_PAGE].render(report))
    if os.environ.get("CI", "").lower() not in _NO or in_github_actions():
        return f"The page is {page}; in CI it is not opened."
    if webbrowser.open(page.absolute().as_uri()):
        return f"The page is {page}; the browser opens it."
    return f"The page is {page}; no browser was found to open it."
