"""The candidates of one report: what its remedies make of the target, by rule."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from auditor.candidate import Candidate, best_of
from auditor.errors import AuditorError
from auditor.evidence import is_tried
from auditor.finding import Finding, TrialOutcome
from auditor.remedy import CannotMend, Case, Remedy
from auditor.report import Report
from auditor.store import BatchStore
from auditor.target import Target

_log = logging.getLogger(__name__)

# How a mended copy is audited: by the cheap probes; by those too that take training trials; or by
# those of them only that can show what was hidden so far.
Depth: TypeAlias = Literal["cheap", "whole", "hidden"]


@dataclass(frozen=True)
class Bounds:
    """What the trials work with.

    Attributes:
        target: As it is.
        store: Its batches.
        remedies: Installed ones by name.
        seed: Of the audit.
        step_seconds: Of one plain training step; 0 while unknown.
        deadline: `time.monotonic()` at which the trials end.
        again: Audits another version of the target, with its batches, and gives its report.
        workers: Most processes that try fixes at a time; None for as many as there are cores.
    """

    target: Target
    store: BatchStore
    remedies: Mapping[str, type[Remedy]]
    seed: int
    step_seconds: float
    deadline: float
    again: Callable[[Target, BatchStore, Depth], Report]
    workers: int | None = None


class Collected:
    """The candidates for each finding.

    Attributes:
        candidates: By rule, in the order of the finding's fixes.
        reasons: (rule, position of the fix) -> why it was not tried.
        chosen: The best candidate for each finding, by rule; what `audit fix` writes.
        instead: Consequence -> the root without a remedy in whose place it is tried.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self.instead: dict[str, str] = {}
        self.candidates: dict[str, list[Candidate]] = {}
        self.reasons: dict[tuple[str, int], str] = {}
        self.chosen: dict[str, Candidate] = {}

    def roots(self, report: Report) -> None:
        """Collect for every root; where nothing can be tried, for what follows from it."""
        named = {finding.rule: finding for finding in report.findings}
        for root in report.roots:
            if not is_tried(report, root) or self.finding(
                    root, report, self._bounds.target, self._bounds.store):
                continue
            for name in root.consequences:
                if is_tried(report, named[name]) and name not in self.candidates and self.finding(
                        named[name], report, self._bounds.target, self._bounds.store):
                    self.instead[name] = root.rule

    def finding(
        self, finding: Finding, report: Report, target: Target, store: BatchStore,
    ) -> bool:
        """Ask the remedies of a finding's fixes what they make of the target; tell if any can."""
        for position, fix in enumerate(finding.fixes):
            remedy = self._bounds.remedies.get(fix.remedy)
            if remedy is None:
                continue
            case = Case(finding, fix, report, target, store, self._bounds.seed)
            try:
                mended = remedy().mend(case)
            except (CannotMend, AuditorError) as problem:
                self.reasons[finding.rule, position] = str(problem)
                continue
            except Exception as problem:  # a boundary: a plugin's fault must not end the audit
                reason = f"the remedy failed: {type(problem).__name__}: {problem}"
                self.reasons[finding.rule, position] = reason
                _log.warning("remedy %s: %s", fix.remedy, reason)
                continue
            self.candidates.setdefault(finding.rule, []).append(
                Candidate(finding, position, mended))
        return finding.rule in self.candidates

    def every(self) -> list[Candidate]:
        """Return all candidates."""
        return [one for found in self.candidates.values() for one in found]

    def choose(self) -> None:
        """Take the best candidate of each finding."""
        for rule, found in self.candidates.items():
            best = best_of(found)
            if best is not None:
                self.chosen[rule] = best

    def drop(self, rule: str) -> None:
        """Forget a finding's candidates."""
        self.candidates.pop(rule, None)
        self.chosen.pop(rule, None)

    def rename(self, rule: str, new: Candidate) -> None:
        """Put another finding, with the same fix, in a finding's place."""
        self.candidates = {new.finding.rule if name == rule else name: [new] if name == rule
                           else found for name, found in self.candidates.items()}
        self.chosen = {new.finding.rule if name == rule else name: new if name == rule
                       else one for name, one in self.chosen.items()}

    def only_first(self, reason: str) -> None:
        """Keep one candidate for each finding, the one that is likeliest to help."""
        for rule, found in self.candidates.items():
            for left_out in found[1:]:
                self.reasons[rule, left_out.position] = reason
            del found[1:]

    def missed(self, reason: str) -> None:
        """Note why the candidates that have no outcome yet were not tried."""
        for one in self.every():
            if one.outcome == TrialOutcome():
                self.reasons[one.finding.rule, one.position] = reason
