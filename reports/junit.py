"""The report as JUnit XML: one test case a rule."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree import ElementTree as ET

from auditor.finding import Finding, Verdict
from auditor.report import Report

from .standing import standing
from .wording import evidence_line, prose, seconds, target_name, where


@dataclass(frozen=True, slots=True)
class JunitRenderer:
    """Writes a suite with a case for every rule.

    A rule that fired as an error or a warning has failed; one that could not be measured is an
    error; one that does not apply, is masked, known or ignored is skipped. A note passes.
    """

    name: str = "junit"
    suffixes: tuple[str, ...] = (".junit.xml", ".xml")
    says: str = "JUnit XML, one test case a rule"

    def render(self, report: Report) -> str:
        """Return the XML text."""
        suite = ET.Element("testsuite", name=f"auditor: {target_name(report)}")
        by_rule: dict[str, list[Finding]] = {}
        for finding in report.findings:
            by_rule.setdefault(finding.rule, []).append(finding)
        for rule, verdict in sorted(report.verdicts.items()):
            suite.append(_case(report, rule, verdict, by_rule.get(rule, [])))
        counts = {"tests": len(suite), "failures": _with(suite, "failure"),
                  "errors": _with(suite, "error"), "skipped": _with(suite, "skipped")}
        time = f"{seconds(report):.3f}"
        for name, value in {**counts, "time": time}.items():
            suite.set(name, str(value))
        root = ET.Element("testsuites", {name: suite.attrib[name] for name in (*counts, "time")})
        root.append(suite)
        ET.indent(root)
        return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, "unicode") + "\n"


def _with(suite: ET.Element, outcome: str) -> int:
    return sum(case.find(outcome) is not None for case in suite)


def _case(report: Report, rule: str, verdict: Verdict, findings: list[Finding]) -> ET.Element:
    told = report.rules.get(rule)
    case = ET.Element("testcase", classname=f"auditor.{told.category if told else 'rule'}",
                      name=rule, time="0")
    counted = [finding for finding in findings if finding.is_open]
    shown = next(iter(counted or findings), None)
    if shown and shown.place:
        case.set("file", prose(shown.place.file))
        case.set("line", str(shown.place.line))
    if shown and not shown.is_open:
        _add(case, "skipped", standing(shown))
    elif shown and shown.severity == "info":
        ET.SubElement(case, "system-out").text = _text(shown)
    elif shown:
        failed = _add(case, "failure", prose(shown.title), shown.severity)
        failed.text = _text(shown)
    elif verdict.verdict == "not-measured":
        _add(case, "error", f"not measured: {prose(verdict.reason)}", "not-measured")
    elif verdict.verdict in ("not-applicable", "masked"):
        _add(case, "skipped", f"{verdict.verdict.replace('-', ' ')}: {prose(verdict.reason)}")
    return case


def _add(case: ET.Element, outcome: str, message: str, kind: str = "") -> ET.Element:
    return ET.SubElement(case, outcome, {"message": message, **({"type": kind} if kind else {})})


def _text(finding: Finding) -> str:
    fixes = [f"fix: {prose(fix.summary)}" for fix in finding.fixes[:1]]
    place = where(finding.place)
    lines = [prose(finding.title), prose(finding.message), *(["at " + place] if place else []),
             *map(evidence_line, finding.evidence), prose(finding.why), *fixes,
             f"more: audit explain {finding.rule}"]
    return "\n".join(line for line in lines if line)
