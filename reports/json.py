"""The report as strict JSON, schema 1 (`report.schema.json` describes it)."""

from __future__ import annotations

import json
from dataclasses import dataclass

from auditor.compare import Comparison
from auditor.report import Report


@dataclass(frozen=True, slots=True)
class JsonRenderer:
    """Writes the whole report for machines; `Report.from_json` reads it back."""

    name: str = "json"
    suffixes: tuple[str, ...] = (".json",)
    says: str = "the whole report for machines, strict JSON"

    def render(self, report: Report) -> str:
        """Return the JSON text.

        ASCII only: a file name that is not valid Unicode would otherwise give a file that
        cannot be written.
        """
        return json.dumps(report.to_json(), indent=2, allow_nan=False) + "\n"

    def render_comparison(self, comparison: Comparison) -> str:
        """Return the JSON text."""
        return json.dumps(comparison.to_json(), indent=2, allow_nan=False) + "\n"
