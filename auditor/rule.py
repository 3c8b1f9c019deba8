"""A rule: judgement as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from auditor.condition import Condition
from auditor.grades import Confidence, Severity
from auditor.packfile import Category, ForEach, LifeCycle, PlaceKind
from auditor.template import Template

CATEGORIES: tuple[Category, ...] = get_args(Category)


@dataclass(frozen=True, slots=True)
class Threshold:
    """A number that judges.

    Attributes:
        name: In conditions and texts.
        default: The pack's number, in `unit`.
        unit: Of the number.
        source: Why this number.
    """

    name: str
    default: float
    unit: str
    source: str


@dataclass(frozen=True, slots=True)
class FixTemplate:
    """A fix whose texts are not filled yet; shown if `when` is None or holds."""

    summary: Template
    code: Template
    safety: Template
    remedy: str
    when: Condition | None


@dataclass(frozen=True, slots=True)
class Rule:
    """One pathology: what must be measured for it, when it is there, and what to do then.

    Attributes:
        id: Its slug.
        category: Of its pack.
        since: Version that brought it.
        status: Its life cycle.
        severity: Unless a condition of `severity_when` holds.
        confidence: Unless a condition of `confidence_when` holds.
        for_each: What is judged one by one: the run, or each layer, parameter, feature.
        requires: Quantities without which it cannot be judged; the first decides what is worst.
        mentions: Quantities that are used where they were measured.
        when: It fires if this holds.
        severity_when: Other severities, first that holds wins.
        confidence_when: Other confidences, first that holds wins.
        at_start: Holds where it was there before the first step.
        thresholds: Its limits by name.
        title: With the measured number.
        title_pass: What is true when it does not fire.
        message: Measurement, limit, meaning.
        why: The mechanism.
        place: Whose source line is shown.
        causes: Rules that explain this one.
        hides: Rules that cannot be judged while this one stands.
        fixes: The best first.
        references: Papers and documentation.
        origin: `file:line` of the rule.
    """

    id: str
    category: Category
    since: str
    status: LifeCycle
    severity: Severity
    confidence: Confidence
    for_each: ForEach
    requires: tuple[str, ...]
    mentions: tuple[str, ...]
    when: Condition
    severity_when: tuple[tuple[Severity, Condition], ...]
    confidence_when: tuple[tuple[Confidence, Condition], ...]
    at_start: Condition | None
    thresholds: Mapping[str, Threshold]
    title: Template
    title_pass: str
    message: Template
    why: Template
    place: PlaceKind
    causes: tuple[str, ...]
    hides: tuple[str, ...]
    fixes: tuple[FixTemplate, ...]
    references: tuple[str, ...]
    origin: str

    @property
    def rank(self) -> tuple[int, str]:
        """Where it stands among rules: by category in the order of the catalogue, then by id."""
        return CATEGORIES.index(self.category), self.id

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """All its conditions, `when` first."""
        return (
            self.when,
            *(condition for _, condition in self.severity_when),
            *(condition for _, condition in self.confidence_when),
            *([self.at_start] if self.at_start else []),
            *(fix.when for fix in self.fixes if fix.when),
        )

    @property
    def templates(self) -> tuple[Template, ...]:
        """All its texts that hold placeholders."""
        return (
            self.title, self.message, self.why,
            *(text for fix in self.fixes for text in (fix.summary, fix.code, fix.safety)),
        )
