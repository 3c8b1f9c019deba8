"""Tries the fixes of a judged report: each alone, all together, all but each one."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from auditor.candidate import Candidate, best_of, gains_something, side_by_side, try_on_top
from auditor.counterfactual import JUDGES, LOOKS, SEEDS, Lab
from auditor.errors import AuditorError
from auditor.evidence import explained_by_trial, learns_nothing, recommended, revealed
from auditor.finding import Finding, TrialOutcome
from auditor.probe import OutOfTime
from auditor.remedy import CannotMend, Case, Mended, Remedy
from auditor.report import JointTrial, Report
from auditor.store import BatchStore
from auditor.target import Target

_log = logging.getLogger(__name__)

STEPS = 60
_MOST_STEPS, _FEWEST_STEPS = 120, 25
# Where steps are cheap the runs are longer than usual, as long as all of them stay below this.
_CHEAP_SECONDS = 6.0
# When no fix shows anything, longer runs may; they get this part of the time that is left.
_LONGER, _LONGER_SHARE = 4, 0.6
# A look at a judging batch runs forward only.
_LOOK_COST = 0.4
# A fix without which the others bring this part of the whole gain is advice.
_ROUNDS, _A_START = 3, 0.1
_NO_TIME = "time budget used up"


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
        again: Audits another version of the target with the cheap probes (with the long ones
            too, if the second argument says so), and gives its report.
    """

    target: Target
    store: BatchStore
    remedies: Mapping[str, type[Remedy]]
    seed: int
    step_seconds: float
    deadline: float
    again: Callable[[Target, bool], Report]


class Tryout:
    """The trials of one report.

    Attributes:
        chosen: The best candidate for each finding, by rule; what `audit fix` writes.
    """

    def __init__(self, report: Report, bounds: Bounds) -> None:
        self._report, self._bounds = report, bounds
        self._candidates: dict[str, list[Candidate]] = {}
        self._reasons: dict[tuple[str, int], str] = {}
        self._behind: set[str] = set()
        self._gone: dict[str, tuple[str, ...]] = {}
        self._gone_together: tuple[str, ...] = ()
        self._joint: JointTrial | None = None
        self.chosen: dict[str, Candidate] = {}

    def run(self) -> Report:
        """Return the report with the outcome of every trial that could be made."""
        for finding in self._report.roots:
            if finding.severity != "info" and finding.is_open:
                self._collect(finding, self._report, self._bounds.target, self._bounds.store)
        steps = self._affordable()
        if steps:
            lab = self._lab(steps)
            try:
                lab = self._each_alone(lab)
                self._choose()
                self._look_behind(lab)
                self._settle(lab)
                self._look_again(lab)
            except OutOfTime:
                self._missed(_NO_TIME)
            finally:
                lab.close()
            self._choose()
        return self._told()

    def _collect(
        self, finding: Finding, report: Report, target: Target, store: BatchStore,
    ) -> None:
        """Ask the remedies of a finding's fixes what they make of the target."""
        for position, fix in enumerate(finding.fixes):
            remedy = self._bounds.remedies.get(fix.remedy)
            if remedy is None:
                continue
            case = Case(finding, fix, report, target, store, self._bounds.seed)
            try:
                mended = remedy().mend(case)
            except (CannotMend, AuditorError) as problem:
                self._reasons[finding.rule, position] = str(problem)
                continue
            except Exception as problem:  # a boundary: a plugin's fault must not end the audit
                reason = f"the remedy failed: {type(problem).__name__}: {problem}"
                self._reasons[finding.rule, position] = reason
                _log.warning("remedy %s: %s", fix.remedy, reason)
                continue
            self._candidates.setdefault(finding.rule, []).append(
                Candidate(finding, position, mended))

    def _lab(self, steps: int) -> Lab:
        bounds = self._bounds
        fair = [one.mended for found in self._candidates.values() for one in found
                if one.mended.judges == "mended"]
        # Where one fix exchanges the loss, the present one is no measure for the others.
        trusts = all(one.mended.keeps_loss or one.mended.judged_mended
                     for found in self._candidates.values() for one in found)
        return Lab(bounds.target, bounds.store, seed=bounds.seed, steps=steps,
                   deadline=bounds.deadline, fair=fair, trusts_loss=trusts)

    def _affordable(self) -> int:
        """Return how many steps each run may have; 0 when there is nothing to try or no time."""
        if not self._candidates:
            return 0
        steps = self._fitting()
        if steps < _FEWEST_STEPS:
            # One candidate for each finding, the one that is likeliest to help.
            for rule, found in self._candidates.items():
                for left_out in found[1:]:
                    self._reasons[rule, left_out.position] = _NO_TIME
                del found[1:]
            steps = self._fitting()
        if steps < _FEWEST_STEPS:
            looks = _LOOK_COST * (LOOKS + 1) * JUDGES
            wanted = (_FEWEST_STEPS + looks) * self._runs() * self._bounds.step_seconds
            missing = wanted - max(self._seconds_left(), 0.0)
            self._missed(f"{_NO_TIME}: it takes about {math.ceil(missing)} s more (--budget)")
            return 0
        return steps

    def _fitting(self) -> int:
        if self._bounds.step_seconds <= 0:
            return STEPS
        looks = _LOOK_COST * (LOOKS + 1) * JUDGES
        one = self._runs() * self._bounds.step_seconds
        cheap = min(max(STEPS, int(_CHEAP_SECONDS / one - looks)), _MOST_STEPS)
        return min(cheap, int(min(self._seconds_left(), 1e6) / one - looks))

    def _runs(self) -> int:
        tried = sum(map(len, self._candidates.values()))
        joint = len(self._candidates) + 1 if len(self._candidates) > 1 else 0
        return SEEDS * (1 + tried + joint)

    def _seconds_left(self) -> float:
        return self._bounds.deadline - time.monotonic()

    def _missed(self, reason: str) -> None:
        """Note why the candidates that have no outcome yet were not tried."""
        for rule, found in self._candidates.items():
            for one in found:
                if one.outcome == TrialOutcome():
                    self._reasons[rule, one.position] = reason

    def _each_alone(self, lab: Lab) -> Lab:
        """Try every candidate alone, in longer runs if none shows anything; return the last lab."""
        every = [one for found in self._candidates.values() for one in found]
        begin = time.monotonic()
        for one in every:
            try_on_top(lab, one, [])
        took = max(time.monotonic() - begin, 1e-3)
        factor = min(_LONGER, int(_LONGER_SHARE * min(self._seconds_left(), 1e6) / took))
        hidden = learns_nothing(self._report) and len(self._candidates) > 1
        if factor < 2 or hidden or any(one.outcome.status != "no-effect" for one in every):
            return lab
        lab.close()
        longer = self._lab(factor * lab.steps)
        for one in every:
            try_on_top(longer, one, [])
        return longer

    def _choose(self) -> None:
        for rule, found in self._candidates.items():
            best = best_of(found)
            if best is not None:
                self.chosen[rule] = best

    def _look_behind(self, lab: Lab) -> None:
        """Audit the mended copy: what was masked or hidden behind these faults shows now.

        Where nothing is learned at any rate, a fault that was found counts although its fix shows
        nothing yet: the next one may hide its effect. `_settle` lets go of those in vain.
        """
        stuck = learns_nothing(self._report)
        masks = any(found.verdict == "masked" for found in self._report.verdicts.values())
        for _ in range(_ROUNDS if self.chosen and (stuck or masks) else 0):
            everything = [one.mended for one in self.chosen.values()]
            version = lab.version(everything)
            seen = self._bounds.again(version, stuck)
            fresh = [f for f in revealed(self._report, seen) if f.rule not in self._candidates]
            for finding in fresh:
                self._collect(finding, seen, version, lab.store(version))
            kept = [self._keep(lab, finding.rule, everything, stuck) for finding in fresh]
            if not any(kept):
                return

    def _keep(self, lab: Lab, rule: str, beside: Sequence[Mended], stuck: bool) -> bool:
        """Keep the best candidate of a finding behind others if it helps, or may later."""
        found = self._candidates.get(rule, [])
        for one in found:
            try_on_top(lab, one, beside)
        best = best_of(found)
        if best is None or not (best.helps or stuck):
            self._candidates.pop(rule, None)
            return False
        self.chosen[rule] = best
        self._behind.add(rule)
        return True

    def _settle(self, lab: Lab) -> None:
        """Try all fixes together; of what was found behind others keep what is needed."""
        self._joint = side_by_side(lab, self.chosen)
        needed = {row.rule for row in self._joint.fixes if row.needed} if self._joint else set()
        vain = {rule for rule in self._behind
                if rule not in needed and not self.chosen[rule].helps}
        for rule in vain:
            del self.chosen[rule], self._candidates[rule]
        self._behind -= vain
        if vain:
            self._joint = side_by_side(lab, self.chosen)
        for rule in self._behind:
            # What was not masked and is not needed for a start limits the mended copy only.
            starts = self._joint is not None and self._joint.share_without(rule) > _A_START
            if self._report.verdicts[rule].verdict != "masked" and starts:
                for one in self._candidates[rule]:
                    one.finding = replace(one.finding, severity="info")

    def _look_again(self, lab: Lab) -> None:
        """Run the cheap probes on each mended copy: which findings vanish?"""
        for rule, one in self.chosen.items():
            if one.helps and self._seconds_left() > 0 and rule not in self._behind:
                version = lab.version([one.mended])
                self._gone[rule] = self._vanished(version, self._doubts_rates(rule), own=rule)
                one.outcome = replace(one.outcome, resolves=self._gone[rule])
        everything = [one.mended for one in self.chosen.values()]
        if len(everything) > 1 and self._seconds_left() > 0 and gains_something(lab, everything):
            self._gone_together = tuple(
                rule for rule in self._vanished(lab.version(everything))
                if rule not in self.chosen)

    def _doubts_rates(self, rule: str) -> bool:
        """Tell whether another root speaks of the rate, and its fix has not helped."""
        return any(
            root.category == "learning-rate" and root.rule != rule
            and root.rule in self._candidates
            and not any(one.helps for one in self._candidates[root.rule])
            for root in self._report.roots if root.severity != "info")

    def _vanished(self, version: Target, long: bool = False, own: str = "") -> tuple[str, ...]:
        """Return the findings that are clear on a version; the mended one may not apply either."""
        fired = {finding.rule for finding in self._report.findings}
        return tuple(
            name for name, found in self._bounds.again(version, long).verdicts.items()
            if name in fired and (found.verdict == "clear" or (
                name == own and found.verdict == "not-applicable")))

    def _told(self) -> Report:
        """Return the report with all outcomes, the best fix of every finding first."""
        known = {finding.rule for finding in self._report.findings}
        behind = [found[0].finding for rule, found in self._candidates.items()
                  if rule not in known]
        findings = [self._with_outcomes(finding) if finding.is_open else finding
                    for finding in (*self._report.findings, *behind)]
        return explained_by_trial(
            replace(self._report, findings=tuple(findings), joint=self._joint),
            {finding.rule for finding in behind}, self._gone, self._gone_together)

    def _with_outcomes(self, finding: Finding) -> Finding:
        fixes = list(finding.fixes)
        for position, fix in enumerate(fixes):
            reason = self._reasons.get((finding.rule, position))
            if reason:
                fixes[position] = replace(fix, trial=TrialOutcome("untried", reason=reason))
        for one in self._candidates.get(finding.rule, ()):
            fix = fixes[one.position]
            if one.helps:
                fix = replace(fix, summary=one.mended.says or fix.summary,
                              code=one.mended.code or fix.code)
            if one.outcome != TrialOutcome():
                fixes[one.position] = replace(fix, trial=one.outcome)
        return replace(finding, fixes=recommended(fixes))
