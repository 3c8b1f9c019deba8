"""The kit for rule authors: cases of a rule as YAML, run against it; and the form of its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import RootModel

from auditor.diagnosis import diagnose
from auditor.document import read_document
from auditor.errors import PackError
from auditor.finding import Confidence, Finding, Severity, VerdictName
from auditor.observation import Measurement, Observation, Scalar
from auditor.packfile import Name, Strict, Text, validate
from auditor.report import Layer
from auditor.rule import Rule
from auditor.scene import Scene

HEADINGS = ("What it does", "Why is this bad", "How it is measured", "When it may be wrong",
            "Fix", "References")
MAX_PAGE_LINES = 60


class CaseEntry(Strict):
    """One case as it stands in the file."""

    name: Text
    expect: VerdictName
    severity: Severity | None = None
    confidence: Confidence | None = None
    observe: dict[Name, Scalar | dict[str, Scalar]] = {}
    absent: dict[Name, Text] = {}
    missed: dict[Name, Text] = {}
    layers: list[str] | None = None


class CaseFile(RootModel[list[CaseEntry]]):
    """A file of cases: a list."""


@dataclass(frozen=True, slots=True)
class RuleCase:
    """One situation and what the rule must say of it.

    Attributes:
        name: The claim.
        expect: The verdict.
        severity: Of the finding; None leaves it open.
        confidence: Of the finding; None leaves it open.
        observe: Quantity -> value of the run, or subject -> value.
        absent: Quantity -> why it does not exist.
        missed: Quantity -> why it could not be measured.
        layers: The finding's subjects; None leaves them open.
        origin: `file:line`.
    """

    name: str
    expect: VerdictName
    severity: Severity | None = None
    confidence: Confidence | None = None
    observe: Mapping[str, Scalar | Mapping[str, Scalar]] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    missed: Mapping[str, str] = field(default_factory=dict)
    layers: tuple[str, ...] | None = None
    origin: str = ""

    def observation(self) -> Observation:
        """Return what a probe would have written."""
        measurements = []
        for name, value in self.observe.items():
            values = value if isinstance(value, Mapping) else {"": value}
            measurements += [Measurement(name, each, subject) for subject, each in values.items()]
        return Observation("case", measurements=tuple(measurements), absent=self.absent,
                           missed=self.missed)

    def scene(self) -> Scene:
        """Return a model map that holds the subjects in the order in which they are written."""
        subjects = dict.fromkeys(
            subject for value in self.observe.values() if isinstance(value, Mapping)
            for subject in value
        )
        return Scene(layers=tuple(Layer(subject, "Layer") for subject in subjects))


def load_cases(path: Path) -> tuple[RuleCase, ...]:
    """Return the cases of a file; the file's stem is the rule's id.

    Raises:
        PackError: The file is no list of cases.
    """
    document = read_document(path.read_bytes(), path.name, PackError)
    entries = validate(CaseFile, document, PackError).root
    return tuple(
        RuleCase(
            **{**dict(entry), "layers": None if entry.layers is None else tuple(entry.layers)},
            origin=f"{path.name}:{document.line((index,))}",
        )
        for index, entry in enumerate(entries)
    )


def run_case(rule: Rule, case: RuleCase, rules: Sequence[Rule] = ()) -> Finding | None:
    """Judge a case and compare; return the finding if the rule fired.

    Args:
        rule: The rule.
        case: One of its cases.
        rules: All rules; those that hide this one are judged along with it.

    Raises:
        AssertionError: The verdict, the severity, the confidence or the subjects differ.
    """
    hiding = [other for other in rules if rule.id in other.hides and other.id != rule.id]
    diagnosis = diagnose([case.observation()], [rule, *hiding], case.scene())
    verdict = diagnosis.verdicts[rule.id]
    assert verdict.verdict == case.expect, (
        f"{case.origin}: {case.name}: {rule.id} is {verdict.verdict}, not {case.expect}"
        f"{verdict.reason and f' ({verdict.reason})'}"
    )
    finding = next((item for item in diagnosis.findings if item.rule == rule.id), None)
    for what in ("severity", "confidence", "layers"):
        expected = getattr(case, what)
        assert expected is None or (finding is not None and getattr(finding, what) == expected), (
            f"{case.origin}: {case.name}: {what} is {getattr(finding, what, None)}, not {expected}"
        )
    return finding


def missing_kinds(rule: Rule, cases: Sequence[RuleCase]) -> list[str]:
    """Return which of the four kinds of cases a rule lacks.

    They are: it fires, it stays silent, a value lies exactly on its limit (where the condition
    has a limit), a measurement is missing.
    """
    verdicts = {case.expect for case in cases}
    kinds = {
        "one that fires": "fired" in verdicts,
        "one that stays silent (a near miss)": "clear" in verdicts,
        "one exactly on the limit": any(_on_the_limit(rule, case) for case in cases)
        or all(item.limit is None for item in rule.when.comparisons),
        "one with a measurement missing": bool(verdicts & {"not-measured", "not-applicable"}),
    }
    return [kind for kind, there in kinds.items() if not there]


def _on_the_limit(rule: Rule, case: RuleCase) -> bool:
    for item in rule.when.comparisons:
        for subject, value in _by_subject(case, item.name).items():
            limit: object = item.limit
            if isinstance(limit, str) and limit in rule.thresholds:
                limit = rule.thresholds[limit].default
            elif isinstance(limit, str):
                limit = _by_subject(case, limit).get(subject)
            if limit is not None and value == limit:
                return True
    return False


def _by_subject(case: RuleCase, name: str) -> Mapping[str, Scalar]:
    value = case.observe.get(name, {})
    return value if isinstance(value, Mapping) else {"": value}


def page_problems(rule: Rule, text: str | None) -> list[str]:
    """Return what is wrong with the form of a rule's page, as `registry.page` gives it."""
    if text is None:
        return [f"{rule.id} has no page"]
    lines = text.splitlines()
    headings = [line for line in _outside_code(lines) if line.startswith("#")]
    wanted = [f"# {rule.id}", *(f"## {heading}" for heading in HEADINGS)]
    problems = []
    if headings != wanted:
        problems.append(f"{rule.id}: the headings are {headings}, not {wanted}")
    if len(lines) > MAX_PAGE_LINES:
        problems.append(f"{rule.id}: the page has {len(lines)} lines, at most {MAX_PAGE_LINES}")
    sections = text.split("\n## ")[1:]
    problems += [f"{rule.id}: nothing stands under '{section.splitlines()[0]}'"
                 for section in sections if len(section.strip().splitlines()) < 2]
    return problems


def _outside_code(lines: Sequence[str]) -> list[str]:
    found, code = [], False
    for line in lines:
        if line.startswith("```"):
            code = not code
        elif not code:
            found.append(line)
    return found
