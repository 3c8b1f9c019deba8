"""Looks at mended copies: what was hidden, what vanishes, what comes back, and what stays."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace

from auditor.candidate import Candidate, best_of, gains_something, side_by_side, try_all
from auditor.collected import Bounds, Collected, Depth
from auditor.counterfactual import Lab
from auditor.evidence import Shown, learns_nothing, revealed
from auditor.finding import Finding
from auditor.jointtrial import JointTrial
from auditor.remedy import Mended
from auditor.report import Report

_ROUNDS = 4
# A fix without which the others bring this part of the whole gain is advice.
_A_START = 0.1
# A consequence that outlives its causes stands for itself where half the gain is lost without
# its own fix.
_HALF = 0.5


class Behind:
    """Audits of mended copies, and trials of what they show.

    Args:
        report: Of the target as it is.
        bounds: Of the trials.
        collected: The candidates; what is found behind others is added to them.
        lab: Where the versions run.

    Attributes:
        joint: All fixes together, all but each one, and each one alone.
        shown: What the copies say of causes.
    """

    def __init__(self, report: Report, bounds: Bounds, collected: Collected, lab: Lab) -> None:
        self._report, self._bounds = report, bounds
        self._collected, self._lab = collected, lab
        self._stuck = learns_nothing(report)
        # The lab keeps its versions, so that no other one can take over an id.
        self._seen: dict[tuple[int, Depth], Report] = {}
        self.joint: JointTrial | None = None
        self.shown = Shown()

    def look(self) -> None:
        """Audit the mended copy: what was masked or hidden behind these faults shows now.

        Where nothing is learned at any rate, a fault that was found counts although its fix shows
        nothing yet: the next one may hide its effect. `settle` lets go of those in vain.
        """
        chosen, lab = self._collected.chosen, self._lab
        if self._stuck:
            for rule in list(chosen):
                self._prefer_what_eases(rule, [])
        masks = any(found.verdict == "masked" for found in self._report.verdicts.values())
        for _ in range(_ROUNDS if chosen and (self._stuck or masks) else 0):
            everything = self._everything()
            version = lab.version(everything)
            seen = self._again(everything, "hidden" if self._stuck else "cheap")
            fresh = [finding for finding in revealed(self._report, seen)
                     if finding.rule not in self._collected.candidates]
            for finding in fresh:
                self._collected.finding(finding, seen, version, lab.store(version))
            kept = [self._keep(finding.rule, everything) for finding in fresh]
            if not any(kept):
                return

    def settle(self) -> None:
        """Try all fixes together; of what was found behind others keep what is needed."""
        chosen, behind = self._collected.chosen, self.shown.behind
        self.joint = side_by_side(self._lab, chosen)
        needed = {row.rule for row in self.joint.fixes if row.needed} if self.joint else set()
        vain = {rule for rule in behind if rule not in needed and not chosen[rule].helps}
        for rule in vain:
            self._collected.drop(rule)
        behind -= vain
        if vain:
            self.joint = side_by_side(self._lab, chosen)
        for rule in behind:
            # What was not masked and is not needed for a start limits the mended copy only.
            starts = self.joint is not None and self.joint.share_without(rule) > _A_START
            if self._report.verdicts[rule].verdict != "masked" and starts:
                for one in self._collected.candidates[rule]:
                    one.finding = replace(one.finding, severity="info")

    def give_up(self) -> None:
        """The time is over: of what was found behind others keep what needs no joint trial."""
        if self.joint is not None:
            return
        for rule in list(self.shown.behind):
            one = self._collected.chosen.get(rule)
            if self._report.verdicts[rule].verdict != "masked" and not (one and one.helps):
                self._collected.drop(rule)
                self.shown.behind.discard(rule)

    def look_again(self) -> None:
        """Run the cheap probes on each mended copy: which findings vanish, which come back?"""
        chosen = self._collected.chosen
        for rule, one in chosen.items():
            if one.helps and self._has_time() and rule not in self.shown.behind:
                seen = self._again(
                    [one.mended], "whole" if self._doubts_rates(rule) else "cheap")
                self.shown.resolves[rule] = self._vanished(seen, own=rule)
                one.outcome = replace(one.outcome, resolves=self.shown.resolves[rule])
        everything = self._everything()
        if not (self._has_time() and gains_something(self._lab, everything)):
            return
        left = self._again(everything)
        if len(everything) > 1 and (self._stuck or self.shown.behind):
            self._leave_each_out(left)
        if len(everything) > 1:
            self.shown.together = tuple(
                name for name in self._vanished(left) if name not in self._collected.chosen)
        self._try_what_stays(left)

    def _again(self, mended: Sequence[Mended], depth: Depth = "cheap") -> Report:
        """Return the report of a mended copy; the same copy is audited once."""
        version = self._lab.version(mended)
        if (id(version), depth) not in self._seen:
            self._seen[id(version), depth] = self._bounds.again(
                version, self._lab.store(version), depth)
        return self._seen[id(version), depth]

    def _everything(self) -> list[Mended]:
        return [one.mended for one in self._collected.chosen.values()]

    def _has_time(self) -> bool:
        return self._bounds.deadline > time.monotonic()

    def _keep(self, rule: str, beside: Sequence[Mended]) -> bool:
        """Keep the best candidate of a finding behind others if it helps, or may later."""
        found = self._collected.candidates.get(rule, [])
        try_all(self._lab, found, beside)
        best = best_of(found)
        if best is None or not (best.helps or self._stuck):
            self._collected.drop(rule)
            return False
        self._collected.chosen[rule] = best
        self.shown.behind.add(rule)
        self._prefer_what_eases(rule, beside)
        return True

    def _prefer_what_eases(self, rule: str, beside: Sequence[Mended]) -> None:
        """Of fixes that show nothing yet, take the first that takes the finding off its place."""
        found = self._collected.candidates[rule]
        if self._collected.chosen[rule].helps or len(found) < 2:
            return
        for one in found:
            if one.outcome.status != "no-effect" or not self._has_time():
                continue
            seen = self._again([*beside, one.mended])
            if _eases(one.finding, seen):
                self._collected.chosen[rule] = one
                return

    def _doubts_rates(self, rule: str) -> bool:
        """Tell whether another root speaks of the rate, and its fix has not helped."""
        candidates = self._collected.candidates
        return any(
            root.category == "learning-rate" and root.rule != rule and root.rule in candidates
            and not any(one.helps for one in candidates[root.rule])
            for root in self._report.roots if root.severity != "info")

    def _vanished(self, seen: Report, own: str = "") -> tuple[str, ...]:
        """Return the findings that are clear on a copy; the mended one may not apply either."""
        fired = {finding.rule for finding in self._report.findings}
        return tuple(
            name for name, found in seen.verdicts.items()
            if name in fired and (found.verdict == "clear" or (
                name == own and found.verdict == "not-applicable")))

    def _leave_each_out(self, whole: Report) -> None:
        """Audit the copy with all but one fix: what comes back is that fault's doing."""
        for rule in list(self._collected.chosen):
            if not self._has_time():
                return
            rest = [one.mended for name, one in self._collected.chosen.items() if name != rule]
            seen = self._again(rest)
            name = self._renamed(rule, seen, whole)
            self.shown.without[name] = {r: v.verdict for r, v in seen.verdicts.items()}

    def _renamed(self, rule: str, seen: Report, whole: Report) -> str:
        """Let a cause that shows once all others are mended take its consequence's place."""
        one = self._collected.chosen[rule]
        known = {finding.rule for finding in (*self._report.findings, *whole.findings)}
        for root in seen.roots:
            same = [position for position, fix in enumerate(root.fixes)
                    if fix.remedy == one.remedy]
            if (rule in self._collected.instead and same and rule in root.consequences
                    and root.severity != "info" and root.rule not in known):
                new = replace(one, finding=root, position=same[0])
                self._collected.rename(rule, new)
                self.shown.behind.add(root.rule)
                if self.joint is not None:
                    self.joint = replace(self.joint, fixes=tuple(
                        replace(row, rule=root.rule) if row.rule == rule else row
                        for row in self.joint.fixes))
                return root.rule
        return rule

    def _try_what_stays(self, left: Report) -> None:
        """Try the fixes of consequences that outlive all of their causes."""
        mended = self._everything()
        version = self._lab.version(mended)
        roots = {root.rule: root for root in left.roots if root.severity != "info"}
        for finding in self._report.findings:
            seen = roots.get(finding.rule)
            gone = all(left.verdicts[cause].verdict in ("clear", "not-applicable")
                       for cause in finding.causes if cause in left.verdicts)
            if (seen is None or not finding.causes or not gone or not self._has_time()
                    or finding.rule in self._collected.chosen or not finding.is_open):
                continue
            fresh = Collected(self._bounds)
            fresh.finding(seen, left, version, self._lab.store(version))
            found = _placed(fresh.every(), finding)
            try_all(self._lab, found, mended)
            best = best_of(found)
            if best is not None and best.helps:
                self._stand(best, found)

    def _stand(self, best: Candidate, found: list[Candidate]) -> None:
        """Let a consequence stand for itself if most of the gain is lost without its own fix."""
        rule = best.finding.rule
        joint = side_by_side(self._lab, {**self._collected.chosen, rule: best})
        share = joint.share_without(rule) if joint is not None else math.nan
        if share < _HALF:
            self._collected.candidates[rule] = found
            self._collected.chosen[rule] = best
            self.joint = joint
            self.shown.stands.add(rule)


def _eases(finding: Finding, seen: Report) -> bool:
    """Tell whether a finding no longer holds where it was first."""
    still = next((other for other in seen.findings if other.rule == finding.rule), None)
    return seen.verdicts.get(finding.rule) is not None and (
        still is None or bool(finding.layers and finding.layers[0] not in still.layers))


def _placed(found: Sequence[Candidate], finding: Finding) -> list[Candidate]:
    """Return the candidates as those of the finding on the target, which may have other fixes."""
    positions = {fix.remedy: position for position, fix in enumerate(finding.fixes) if fix.remedy}
    return [replace(one, finding=finding, position=positions[one.remedy])
            for one in found if one.remedy in positions]
