"""One fix that can be tried, and trials of it alone, on top of others, and beside others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from auditor.comparison import gain_of, is_near, is_open, outcome
from auditor.counterfactual import MORE_SEEDS, MOST_SEEDS, SEEDS, Lab, Runs
from auditor.finding import Finding, TrialOutcome
from auditor.jointtrial import JointFix, JointTrial
from auditor.remedy import Mended

_WITH_OTHERS = "together with the other fixes; alone it does not show"


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

    @property
    def helps(self) -> bool:
        """Whether a trial has shown that it helps."""
        return self.outcome.status == "helps"


def try_all(lab: Lab, every: Sequence[Candidate], beside: Sequence[Mended] = ()) -> None:
    """Try candidates, each on top of the same others.

    Raises:
        OutOfTime: The time is over; the candidates that are left are as before.
    """
    tops = [[*beside, one.mended] for one in every]
    below = [(beside, beside)] if any(
        _same_loss([one.mended]) and not judges_both(one.mended) for one in every) else []
    lab.ahead([*below, *((top, top) for top in tops)])
    for one in every:
        try_on_top(lab, one, beside)


def try_on_top(lab: Lab, one: Candidate, beside: Sequence[Mended]) -> None:
    """Try a candidate on top of others; what is not clear gets more seeds.

    Raises:
        OutOfTime: The time is over; the candidate is as before.
    """
    same_loss = lab.trusts_loss and _same_loss([one.mended])
    path, mended_path = [*beside], [*beside, one.mended]
    after = lab.runs(mended_path, mended_path)
    # Without a score both are judged by the user's loss on the mended path.
    on_mended = judges_both(one.mended) or not (same_loss or after.score_name or after.problem)
    judging = mended_path if on_mended else path
    for seeds in (SEEDS, MORE_SEEDS, MOST_SEEDS):
        lab.ahead([(path, judging), (mended_path, mended_path)], seeds)
        before = lab.runs(path, judging, seeds)
        after = lab.runs(mended_path, mended_path, seeds)
        needs_more = is_open if seeds < MORE_SEEDS else is_near
        if not needs_more(before, after, same_loss=same_loss):
            break
    one.outcome = outcome(before, after, same_loss=same_loss, steps=lab.steps)
    if one.outcome.status != "untried":
        one.gain = gain_of(before, after, same_loss=same_loss)


def best_of(found: Sequence[Candidate]) -> Candidate | None:
    """Return the candidate that helps most, else the first that does no harm, or None."""
    usable = [one for one in found if one.outcome.status != "untried"]
    helping = [one for one in usable if one.helps]
    if helping:
        return max(helping, key=lambda one: one.gain)
    harmless = [one for one in usable if one.outcome.status == "no-effect"]
    return next(iter(harmless), None)


def gains_something(lab: Lab, mended: Sequence[Mended]) -> bool:
    """Tell whether these remedies together help; none never do."""
    if not mended:
        return False
    judging = [one for one in mended if judges_both(one)]
    result = outcome(lab.runs([], judging), lab.runs(mended, mended),
                     same_loss=_same_loss(mended), steps=lab.steps)
    return result.status == "helps"


def side_by_side(lab: Lab, chosen: Mapping[str, Candidate]) -> JointTrial | None:
    """Run all fixes together, all but each one, and each one alone.

    A fix that shows nothing alone and is needed beside the others helps, and its outcome says so.

    Returns:
        None for a single fix, and when the whole does not run.

    Raises:
        OutOfTime: The time is over.
    """
    everything = [one.mended for one in chosen.values()]
    whole = lab.runs(everything, everything)
    if len(everything) < 2 or whole.problem:
        return None
    both = [one for one in everything if judges_both(one)]
    name = whole.score_name or "loss"
    rows = []

    def judged(parts: Sequence[Mended]) -> tuple[Sequence[Mended], Sequence[Mended]]:
        return parts, [m for m in everything if m in parts or m in both]

    rests = {id(one): [other for other in everything if other is not one] for one in everything}
    lab.ahead([judged(parts) for one in everything for parts in (rests[id(one)], [one])]
              + [judged([])])
    for rule, one in chosen.items():
        without = lab.runs(*judged(rests[id(one.mended)]))
        alone = lab.runs(*judged([one.mended]))
        result = outcome(without, whole, same_loss=_same_loss(everything), steps=lab.steps)
        if result.status == "helps" and not one.helps:
            one.outcome = replace(result, reason=_WITH_OTHERS)
        rows.append(JointFix(rule, one.remedy, _ends(without, name), _ends(alone, name),
                             result.status == "helps"))
    as_is = lab.runs(*judged([]))
    return JointTrial(name, lab.steps, _ends(as_is, name), _ends(whole, name), tuple(rows))


def judges_both(mended: Mended) -> bool:
    """Tell whether both versions are judged on what this remedy makes."""
    return mended.judged_mended or mended.judges != "held-out" or mended.balanced


def _same_loss(mended: Sequence[Mended]) -> bool:
    return all(one.keeps_loss or one.judged_mended for one in mended)


def _ends(runs: Runs, name: str) -> tuple[float, ...]:
    """Return the measure at the end of each seed's run; empty when the version does not run."""
    values = runs.losses() if name == "loss" else runs.scores()
    return tuple(round(fmean(seed), 6) for seed in values if seed)
