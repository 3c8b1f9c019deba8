"""Tries the fixes of a judged report: each alone, all together, all but each one."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import replace

from auditor.behind import Behind
from auditor.candidate import Candidate, try_all
from auditor.collected import Bounds, Collected
from auditor.counterfactual import SEEDS, Lab, looks_in_steps
from auditor.crew import Crew
from auditor.evidence import Shown, explained_by_trial, learns_nothing, recommended
from auditor.finding import Finding, TrialOutcome
from auditor.probe import OutOfTime
from auditor.report import Report

STEPS = 60
_MOST_STEPS, _FEWEST_STEPS = 120, 25
# Of the trial of one fix, beside the target as it is.
LEAST_STEPS = 2 * SEEDS * (_FEWEST_STEPS + looks_in_steps())
# Where steps are cheap the runs are longer than usual, as long as all of them stay below this.
_CHEAP_SECONDS = 6.0
# When no fix shows anything, longer runs may; they get this part of the time that is left.
_LONGER, _LONGER_SHARE = 4, 0.6
_NO_TIME = "time budget used up"


class Tryout:
    """The trials of one report."""

    def __init__(self, report: Report, bounds: Bounds) -> None:
        self._report, self._bounds = report, bounds
        self._collected = Collected(bounds)
        self._behind: Behind | None = None
        self._crew = Crew(bounds.workers, bounds.step_seconds)

    @property
    def chosen(self) -> Mapping[str, Candidate]:
        """The best candidate for each finding, by rule; what `audit fix` writes."""
        return self._collected.chosen

    def run(self) -> Report:
        """Return the report with the outcome of every trial that could be made."""
        self._collected.roots(self._report)
        steps = self._affordable()
        if steps:
            lab = self._lab(steps)
            try:
                lab = self._each_alone(lab)
                self._collected.choose()
                self._behind = Behind(self._report, self._bounds, self._collected, lab)
                self._behind.look()
                self._behind.settle()
                self._behind.look_again()
            except OutOfTime:
                if self._behind is not None:
                    self._behind.give_up()
                self._collected.missed(_NO_TIME)
                self._collected.choose()
            finally:
                lab.close()
        return self._told()

    def _lab(self, steps: int) -> Lab:
        bounds = self._bounds
        every = [one.mended for one in self._collected.every()]
        fair = [mended for mended in every if mended.judges == "mended"]
        # Where one fix exchanges the loss, the present one is no measure for the others.
        trusts = all(mended.keeps_loss or mended.judged_mended for mended in every)
        return Lab(bounds.target, bounds.store, seed=bounds.seed, steps=steps,
                   deadline=bounds.deadline, fair=fair, trusts_loss=trusts, crew=self._crew,
                   step_seconds=bounds.step_seconds)

    def _affordable(self) -> int:
        """Return how many steps each run may have; 0 when there is nothing to try or no time."""
        if not self._collected.candidates:
            return 0
        steps = self._fitting()
        if steps < (STEPS if self._validates() else _FEWEST_STEPS):
            self._collected.only_first(_NO_TIME)
            steps = self._fitting()
        if steps < _FEWEST_STEPS:
            each = _FEWEST_STEPS + looks_in_steps()
            wanted = each * self._runs() * self._bounds.step_seconds
            missing = wanted - max(self._seconds_left(), 0.0)
            self._collected.missed(
                f"{_NO_TIME}: it takes about {math.ceil(missing)} s more (--budget)")
            return 0
        return steps

    def _fitting(self) -> int:
        if self._bounds.step_seconds <= 0:
            return STEPS
        looks = looks_in_steps()
        one = self._runs() * self._bounds.step_seconds
        cheap = min(max(STEPS, int(_CHEAP_SECONDS / one - looks)), _MOST_STEPS)
        if self._validates():
            # What is learned by heart shows late.
            cheap = _MOST_STEPS
        return min(cheap, int(min(self._seconds_left(), 1e6) / one - looks))

    def _validates(self) -> bool:
        return any(one.mended.judges == "validation" for one in self._collected.every())

    def _runs(self) -> int:
        findings = len(self._collected.candidates)
        joint = findings + 1 if findings > 1 else 0
        return SEEDS * (1 + len(self._collected.every()) + joint)

    def _seconds_left(self) -> float:
        return self._bounds.deadline - time.monotonic()

    def _each_alone(self, lab: Lab) -> Lab:
        """Try every candidate alone, in longer runs if none shows anything; return the last lab."""
        every = self._collected.every()
        begin = time.monotonic()
        try_all(lab, every)
        took = max(time.monotonic() - begin, 1e-3)
        factor = min(_LONGER, int(_LONGER_SHARE * min(self._seconds_left(), 1e6) / took))
        hidden = learns_nothing(self._report) and len(self._collected.candidates) > 1
        if factor < 2 or hidden or any(one.outcome.status != "no-effect" for one in every):
            return lab
        lab.close()
        longer = self._lab(factor * lab.steps)
        try_all(longer, every)
        return longer

    def _told(self) -> Report:
        """Return the report with all outcomes, the best fix of every finding first."""
        known = {finding.rule for finding in self._report.findings}
        behind = [found[0].finding for rule, found in self._collected.candidates.items()
                  if rule not in known]
        findings = [self._with_outcomes(finding) if finding.is_open else finding
                    for finding in (*self._report.findings, *behind)]
        joint = self._behind.joint if self._behind else None
        shown = self._behind.shown if self._behind else Shown()
        return explained_by_trial(
            replace(self._report, findings=tuple(findings), joint=joint), shown)

    def _with_outcomes(self, finding: Finding) -> Finding:
        fixes = list(finding.fixes)
        for position, fix in enumerate(fixes):
            reason = self._collected.reasons.get((finding.rule, position))
            if reason:
                fixes[position] = replace(fix, trial=TrialOutcome("untried", reason=reason))
        for one in self._collected.candidates.get(finding.rule, ()):
            fix = fixes[one.position]
            if one.helps:
                fix = replace(fix, summary=one.mended.says or fix.summary,
                              code=one.mended.code or fix.code)
            if one.outcome != TrialOutcome():
                fixes[one.position] = replace(fix, trial=one.outcome)
        return replace(finding, fixes=recommended(fixes))
