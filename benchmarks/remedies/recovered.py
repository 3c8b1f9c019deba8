"""How much of the gap to the healthy parent a mended version recovers after as many steps."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditor.counterfactual import Lab
from auditor.loading import load
from auditor.store import BatchStore

from ..accuracy.runner import Member

# Parents that are no better than the faulty member leave nothing to recover.
_LEAST_GAP = 0.05


@dataclass(frozen=True)
class Row:
    """One audited member.

    Attributes:
        member: Its name.
        right: Roots that were named rightly and have a fix with a remedy.
        helped: Of these, those with a fix that helps.
        false: Findings of a healthy member, of any severity, whose fixes were tried.
        recovered: (mended - faulty) / (parent - faulty); NaN where it is not defined.
        others: What became of the fixes of the right roots that have none that helps; the rules
            that were tried on a healthy member.
        healthy: The member has no fault.
    """

    member: str
    right: int
    helped: int
    false: int
    recovered: float
    others: str = ""
    healthy: bool = False

    @property
    def says(self) -> str:
        """The row in words."""
        if self.healthy:
            return f"{self.false} findings were tried on this healthy member {self.others}".strip()
        share = "-" if math.isnan(self.recovered) else f"{self.recovered:.0%}"
        return (f"{self.helped} of {self.right} right findings have a fix that helps, "
                f"recovered {share}" + (f" [{self.others}]" if self.others else ""))


def row_of(member: Member, saved: Path, parent: Path | None) -> Row:
    """Read one report, and run the healthy parent for as many steps."""
    if not saved.exists():
        return Row(member.name, 0, 0, 0, math.nan, "no report")
    report = json.loads(saved.read_text(encoding="utf-8"))
    roots = [f for f in report["findings"] if not f["causes"] and f["severity"] != "info"]
    if member.healthy:
        tried = [f for f in report["findings"] if _trials(f)]
        told = ", ".join(f["rule"] for f in tried)
        return Row(member.name, 0, 0, len(tried), math.nan, told, healthy=True)
    right = [f for f in roots if f["rule"] in (*member.roots, *member.also) and _remedies(f)]
    helped = [f for f in right if _trials(f) and _trials(f)[0]["status"] == "helps"]
    recovered = math.nan
    if helped and parent is not None:
        recovered = _recovered(report, _trials(helped[0])[0], parent)
    return Row(member.name, len(right), len(helped), 0, recovered,
               "; ".join(_outcomes(f) for f in right if f not in helped))


def table(rows: Sequence[Row]) -> str:
    """Return the table as Markdown, with its sums."""
    faulty = [row for row in rows if not row.healthy]
    lines = ["| member | right | helped | recovered |", "|---|---|---|---|"]
    for row in sorted(rows, key=lambda row: row.member):
        if row.right:
            share = "" if math.isnan(row.recovered) else f"{row.recovered:.0%}"
            lines.append(f"| {row.member} | {row.right} | {row.helped} | {share} |")
    right, helped = sum(row.right for row in rows), sum(row.helped for row in rows)
    shares = [row.recovered for row in rows if not math.isnan(row.recovered)]
    return "\n".join([
        *lines, "",
        f"- faulty members {len(faulty)}, right findings that a remedy exists for {right}, with a "
        f"fix that helps {helped} ({helped / max(right, 1):.0%})",
        f"- recovered of the gap to the healthy parent: median "
        f"{statistics.median(shares or [math.nan]):.0%} over {len(shares)} members",
        f"- findings of healthy members whose fixes were tried: {sum(row.false for row in rows)}"
        f" over {sum(row.healthy for row in rows)} members",
    ])


def _remedies(finding: dict[str, Any]) -> list[dict[str, Any]]:
    return [fix for fix in finding["fixes"] if fix["remedy"]]


def _outcomes(finding: dict[str, Any]) -> str:
    told = (f"{fix['remedy']} {fix['trial']['status']} {fix['trial']['reason']}".strip()
            for fix in _remedies(finding))
    return f"{finding['rule']}: {', '.join(told)}"


def _trials(finding: dict[str, Any]) -> list[dict[str, Any]]:
    return [fix["trial"] for fix in finding["fixes"] if fix["trial"]["steps"]]


def _recovered(report: dict[str, Any], trial: dict[str, Any], parent: Path) -> float:
    """Return the share for the score, else for the loss; of all fixes where they were joined."""
    joint = report.get("joint")
    name = next((n for n in trial["after"] if n != "loss"), "loss")
    if name not in trial["before"]:
        return math.nan
    faulty, mended = float(trial["before"][name][-1]), float(trial["after"][name][-1])
    steps = trial["steps"]
    if joint and joint["measure"] == name and joint["as_is"]:
        faulty, mended = (statistics.fmean(map(float, joint[k])) for k in ("as_is", "together"))
        steps = joint["steps"]
    gap = _end_of(parent, name, steps) - faulty
    if not math.isfinite(gap) or abs(gap) < _LEAST_GAP or (gap > 0) != (name != "loss"):
        return math.nan
    return min((mended - faulty) / gap, 1.0)


def _end_of(parent: Path, name: str, steps: int) -> float:
    """Return what the healthy parent reaches in as many steps."""
    target = load(str(parent))
    lab = Lab(target, BatchStore(target, 0), seed=0, steps=steps, deadline=math.inf)
    with target.surroundings():
        runs = lab.runs([], [])
    ends = list(map(statistics.fmean, (
        runs.losses() if name == "loss" else runs.scores() if runs.score_name == name else [])))
    return statistics.fmean(ends) if ends else math.nan
