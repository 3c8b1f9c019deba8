"""Tries the fixes of a judged report: each alone, all together, all but each one."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from auditor.comparison import gain_of, outcome
from auditor.counterfactual import JUDGES, LOOKS, SEEDS, Lab, Runs
from auditor.errors import AuditorError
from auditor.evidence import explained_by_trial, recommended, revealed
from auditor.finding import Finding, TrialOutcome
from auditor.probe import OutOfTime
from auditor.remedy import CannotMend, Case, Mended, Remedy
from auditor.report import JointFix, JointTrial, Report
from auditor.store import BatchStore
from auditor.target import Target

STEPS = 60
_FEWEST_STEPS = 25
# A look at a judging batch runs forward only.
_LOOK_COST = 0.4
_ROUNDS = 3
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


@dataclass
class Candidate:
    """One fix of a finding that can be tried.

    Attributes:
        finding: As it was found, on the target or on a mended copy.
        position: Of the fix among those of the finding.
        mended: What the remedy made.
        outcome: What happened.
        gain: For ranking.
    """

    finding: Finding
    position: int
    mended: Mended
    outcome: TrialOutcome = field(default_factory=TrialOutcome)
    gain: float = -math.inf

    @property
    def remedy(self) -> str:
        """Its name."""
        return self.finding.fixes[self.position].remedy


class Tryout:
    """The trials of one report.

    Attributes:
        chosen: The best candidate for each finding, by rule; what `audit fix` writes.
    """

    def __init__(self, report: Report, bounds: Bounds) -> None:
        self._report, self._bounds = report, bounds
        self._candidates: dict[str, list[Candidate]] = {}
        self._reasons: dict[tuple[str, int], str] = {}
        self._alone: dict[str, tuple[str, ...]] = {}
        self._joint: JointTrial | None = None
        self.chosen: dict[str, Candidate] = {}

    def run(self) -> Report:
        """Return the report with the outcome of every trial that could be made."""
        roots = [finding for finding in self._report.roots if _counts(finding)]
        for finding in roots:
            self._collect(finding, self._report, self._bounds.target, self._bounds.store)
        steps = self._affordable()
        if not steps:
            return self._told()
        bounds = self._bounds
        lab = Lab(bounds.target, bounds.store, seed=bounds.seed, steps=steps,
                  deadline=bounds.deadline)
        try:
            self._each_alone(lab)
            self._choose()
            self._look_behind(lab)
            self._together(lab)
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
            self._candidates.setdefault(finding.rule, []).append(
                Candidate(finding, position, mended))

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
            wanted = self._seconds(_FEWEST_STEPS) - (self._bounds.deadline - time.monotonic())
            self._missed(f"{_NO_TIME}: give it {math.ceil(wanted)} s more with --budget")
            return 0
        return steps

    def _fitting(self) -> int:
        left = self._bounds.deadline - time.monotonic()
        if self._bounds.step_seconds <= 0 or math.isinf(left):
            return STEPS
        looks = _LOOK_COST * (LOOKS + 1) * JUDGES
        return min(STEPS, int(left / self._bounds.step_seconds / self._runs() - looks))

    def _seconds(self, steps: int) -> float:
        looks = _LOOK_COST * (LOOKS + 1) * JUDGES
        return (steps + looks) * self._runs() * self._bounds.step_seconds

    def _runs(self) -> int:
        tried = sum(map(len, self._candidates.values()))
        joint = len(self._candidates) + 1 if len(self._candidates) > 1 else 0
        return SEEDS * (1 + tried + joint)

    def _missed(self, reason: str) -> None:
        """Note why the candidates that have no outcome yet were not tried."""
        for rule, found in self._candidates.items():
            for one in found:
                if one.outcome == TrialOutcome():
                    self._reasons[rule, one.position] = reason

    def _each_alone(self, lab: Lab) -> None:
        for found in self._candidates.values():
            for one in found:
                _compare(lab, one, [])

    def _choose(self) -> None:
        for rule, found in self._candidates.items():
            usable = [one for one in found if one.outcome.status != "untried"]
            helping = [one for one in usable if one.outcome.status == "helps"]
            harmless = [one for one in usable if one.outcome.status != "harms"]
            if usable:
                self.chosen[rule] = max(
                    helping, key=lambda one: one.gain) if helping else (harmless or usable)[0]

    def _look_behind(self, lab: Lab) -> None:
        """Audit the mended copy: what was masked or hidden behind these faults shows now."""
        if not self.chosen or not self._hides_something():
            return
        for _ in range(_ROUNDS):
            everything = [one.mended for one in self.chosen.values()]
            version = lab.version(everything)
            seen = self._bounds.again(version, self._learns_nothing())
            fresh = [f for f in revealed(self._report, seen) if f.rule not in self._candidates]
            for finding in fresh:
                self._collect(finding, seen, version, lab.store(version))
            added = [self._best_on_top(lab, finding.rule, everything) for finding in fresh
                     if finding.rule in self._candidates]
            if not any(added):
                return

    def _best_on_top(self, lab: Lab, rule: str, everything: Sequence[Mended]) -> bool:
        """Keep the finding's best candidate if it helps beside those chosen so far."""
        found = self._candidates[rule]
        for one in found:
            _compare(lab, one, everything)
        helping = [one for one in found if one.outcome.status == "helps"]
        if not helping:
            del self._candidates[rule]
            return False
        self.chosen[rule] = max(helping, key=lambda one: one.gain)
        return True

    def _hides_something(self) -> bool:
        return self._learns_nothing() or any(
            found.verdict == "masked" for found in self._report.verdicts.values())

    def _learns_nothing(self) -> bool:
        found = self._report.verdicts.get("no-learning-at-any-rate")
        return found is not None and found.verdict == "fired"

    def _together(self, lab: Lab) -> None:
        """Run all fixes together and all but each one."""
        if len(self.chosen) < 2:
            return
        everything = [one.mended for one in self.chosen.values()]
        judging = [one for one in everything if _judges_both(one)]
        whole = lab.runs(everything, everything)
        as_is = lab.runs([], judging)
        same_loss = all(map(_same_loss, everything))
        if whole.problem:
            return
        name = _measure_name(whole)
        rows = []
        for rule, one in self.chosen.items():
            rest = [other for other in everything if other is not one.mended]
            path = [other for other in everything if other in rest or other in judging]
            without = lab.runs(rest, path)
            alone_path = [other for other in everything
                          if other is one.mended or other in judging]
            alone = lab.runs([one.mended], alone_path)
            result = outcome(without, whole, same_loss=same_loss, steps=lab.steps)
            needed = result.status == "helps"
            if needed and one.outcome.status != "helps":
                one.outcome = replace(result, reason="together with the other fixes; "
                                                     "alone it does not show")
            rows.append(JointFix(rule, one.remedy, _ends(without, name), _ends(alone, name),
                                 needed))
        self._joint = JointTrial(
            name, lab.steps, _ends(as_is, name), _ends(whole, name), tuple(rows))

    def _look_again(self, lab: Lab) -> None:
        """Run the cheap probes on each mended copy: which findings vanish?"""
        fired = {finding.rule for finding in self._report.findings}
        for rule, one in self.chosen.items():
            if one.outcome.status != "helps" or time.monotonic() > self._bounds.deadline:
                continue
            seen = self._bounds.again(lab.version([one.mended]), False)
            gone = [name for name in self._report.verdicts
                    if name in fired and name in seen.verdicts
                    and seen.verdicts[name].verdict == "clear"]
            self._alone[rule] = tuple(gone)
            one.outcome = replace(one.outcome, resolves=tuple(gone))

    def _told(self) -> Report:
        """Return the report with all outcomes, the best fix of every finding first."""
        report = self._report
        known = {finding.rule for finding in report.findings}
        behind = [found[0].finding for rule, found in self._candidates.items()
                  if rule not in known]
        findings = []
        for finding in (*report.findings, *behind):
            if finding.ignored:
                findings.append(finding)
                continue
            fixes = list(finding.fixes)
            for position in range(len(fixes)):
                reason = self._reasons.get((finding.rule, position))
                if reason:
                    fixes[position] = replace(
                        fixes[position], trial=TrialOutcome("untried", reason=reason))
            for one in self._candidates.get(finding.rule, ()):
                if one.outcome.status == "untried" and not one.outcome.reason:
                    continue
                fix = fixes[one.position]
                if one.outcome.status == "helps":
                    fix = replace(fix, summary=one.mended.says or fix.summary,
                                  code=one.mended.code or fix.code)
                fixes[one.position] = replace(fix, trial=one.outcome)
            findings.append(replace(finding, fixes=recommended(fixes)))
        return explained_by_trial(
            replace(report, findings=tuple(findings), joint=self._joint),
            {finding.rule for finding in behind}, self._alone)


def _counts(finding: Finding) -> bool:
    return finding.severity != "info" and not finding.known and not finding.ignored


def _judges_both(mended: Mended) -> bool:
    return mended.judged_mended or mended.judges != "held-out" or mended.balanced


def _same_loss(mended: Mended) -> bool:
    return mended.keeps_loss or mended.judged_mended


def _compare(lab: Lab, one: Candidate, beside: Sequence[Mended]) -> None:
    """Try a candidate on top of others."""
    mended = one.mended
    before_path = [*beside, mended] if _judges_both(mended) else [*beside]
    before = lab.runs([*beside], before_path)
    after = lab.runs([*beside, mended], [*beside, mended])
    if not _same_loss(mended) and not after.score_name and not after.problem:
        # No score is defined: both are judged by the user's loss on the mended path.
        before = lab.runs([*beside], [*beside, mended])
    one.outcome = outcome(before, after, same_loss=_same_loss(mended), steps=lab.steps)
    if one.outcome.status != "untried":
        one.gain = gain_of(before, after, same_loss=_same_loss(mended))


def _measure_name(runs: Runs) -> str:
    return runs.score_name or "loss"


def _ends(runs: Runs, name: str) -> tuple[float, ...]:
    """Return the measure at the end of each seed's run; empty when the version does not run."""
    values = runs.losses() if name == "loss" else runs.scores()
    return tuple(round(fmean(seed), 6) for seed in values if seed)
