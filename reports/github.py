"""The findings as workflow commands, which GitHub shows at their lines."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.finding import Finding, Severity
from auditor.report import Report

from .standing import file_in_repository
from .wording import count_verdicts, plural, prose

_COMMANDS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "notice"}
# GitHub shows ten of each kind a step, and drops the rest without a word.
_MOST = 10


@dataclass(frozen=True, slots=True)
class GithubRenderer:
    """Writes one command a finding; known and ignored ones are left out."""

    name: str = "github"
    suffixes: tuple[str, ...] = ()
    says: str = "annotations for GitHub Actions"

    def render(self, report: Report) -> str:
        """Return the commands, one a line."""
        shown: list[Finding] = []
        total = 0
        for severity in _COMMANDS:
            found = [f for f in report.findings if f.severity == severity and f.is_open]
            total += len(found)
            # The last notice is kept for what is left out.
            shown += found[: _MOST - (severity == "info")]
        rest = _rest(total - len(shown), count_verdicts(report, "not-measured"))
        lines = [*(_command(report, finding) for finding in shown), *rest]
        return "".join(f"{line}\n" for line in lines)


def _rest(left_out: int, missed: int) -> list[str]:
    told = [*([plural(left_out, "more finding")] if left_out else []),
            *([f"{plural(missed, 'check')} could not be made"] if missed else [])]
    return [f"::notice title=auditor::{_data(', '.join(told))}: see the report"] if told else []


def _command(report: Report, finding: Finding) -> str:
    fixes = [f"Fix: {prose(fix.summary)}" for fix in finding.fixes[:1]]
    text = "\n".join([f"{prose(finding.title)}.", prose(finding.message), *fixes])
    properties = [f"{name}={_property(value)}" for name, value in _place(report, finding).items()]
    title = f"title={_property(f'{finding.severity}: {finding.rule}')}"
    return f"::{_COMMANDS[finding.severity]} {','.join([*properties, title])}::{_data(text)}"


def _place(report: Report, finding: Finding) -> dict[str, str]:
    place = finding.place
    if place is None:
        return {}
    told = {"file": file_in_repository(report, place).as_posix(), "line": str(place.line)}
    if place.end_line:
        told["endLine"] = str(place.end_line)
    # Columns of an expression over several lines would be refused.
    if place.column and place.end_line == place.line:
        told |= {"col": str(place.column), "endColumn": str(place.end_column)}
    return told


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
