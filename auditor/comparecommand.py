"""What `audit compare` does, from two files to the exit code."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from auditor import registry
from auditor.command import read_report
from auditor.compare import ComparisonRenderer, compare
from auditor.gate import FAILED, PASSED
from auditor.output import plan_outputs, write_file


def compare_command(old: Path, new: Path, options: Mapping[str, Any]) -> int:
    """Compare two reports, write, and return 1 if something is new or worse.

    Raises:
        AuditorError: A file is no report, or a format cannot hold a comparison.
    """
    renderers: dict[str, ComparisonRenderer] = {
        name: renderer for name, renderer in registry.renderers().items.items()
        if isinstance(renderer, ComparisonRenderer)
    }
    files, screen = plan_outputs(options["outputs"], options["format_name"], renderers)
    comparison = compare(read_report(old), read_report(new))
    for path, renderer in files:
        write_file(path, renderers[renderer.name].render_comparison(comparison))
    if not options["quiet"]:
        sys.stdout.write(renderers[screen.name].render_comparison(comparison))
    limit = options["fail_on"]
    return FAILED if limit != "never" and comparison.regressions(limit) else PASSED
