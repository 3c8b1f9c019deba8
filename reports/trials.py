"""What trials of fixes showed: two curves, and what a fix is worth beside the others."""

from __future__ import annotations

import math
from collections.abc import Sequence

from auditor.finding import Fix
from auditor.jointtrial import JointFix
from auditor.observation import Json, Series
from auditor.report import Report

from .bars import Bar
from .wording import SHARES, number, percent

# What stands beside the bar of all fixes.
_COLORS = {"as it is": "grey", "without this": "amber", "only this": "blue"}


def trial_curves(fix: Fix) -> list[Series]:
    """Return the curves of a trial, as it is and mended, one pair for each measure."""
    trial = fix.trial
    found = []
    for name, mended in trial.after.items():
        for label, curve in (("as it is", trial.before.get(name)), ("mended", mended)):
            values = _numbers(curve)
            if len(values) > 1:
                steps = tuple(trial.steps * i / (len(values) - 1) for i in range(len(values)))
                found.append(Series(f"trial_{name}", label, steps, values, "step", name))
    return found


def bars_of(report: Report, rule: str) -> list[Bar]:
    """Return the bars of a finding's fix: as it is, all fixes, without this one, only this one."""
    joint = report.joint
    row = _row(report, rule)
    if joint is None or row is None:
        return []
    told = (("as it is", joint.as_is), (f"all {len(joint.fixes)} fixes", joint.together),
            ("without this", row.without), ("only this", row.alone))
    return [Bar(label, min(values), max(values), _range(joint.measure, values),
                _COLORS.get(label, "green"))
            for label, values in told if values and all(map(math.isfinite, values))]


def joint_line(report: Report, rule: str) -> str:
    """Return what a fix is worth beside the others; empty when they were not tried together."""
    bars = bars_of(report, rule)
    row = _row(report, rule)
    if not bars or row is None or report.joint is None:
        return ""
    told = "; ".join(f"{bar.label} {bar.says}" for bar in bars)
    end = "" if row.needed else ". Leaving it out makes no measurable difference here"
    return f"{report.joint.measure} after {report.joint.steps} steps: {told}{end}"


def together_line(report: Report) -> str:
    """Return what all fixes do together; empty when they were not tried together."""
    joint = report.joint
    if joint is None or not (joint.as_is and joint.together):
        return ""
    before, after = (_range(joint.measure, values) for values in (joint.as_is, joint.together))
    return (f"All {len(joint.fixes)} fixes together: {joint.measure} after {joint.steps} steps "
            f"{before} -> {after}")


def is_dropped(fix: Fix) -> bool:
    """Tell whether a fix was tried and is not recommended."""
    return fix.trial.status in ("no-effect", "harms")


def _row(report: Report, rule: str) -> JointFix | None:
    rows = report.joint.fixes if report.joint else ()
    return next((row for row in rows if row.rule == rule), None)


def _range(measure: str, values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    if measure in SHARES:
        return percent(low, high)
    return number(low) if low == high else f"{number(low)} to {number(high)}"


def _numbers(curve: Json) -> tuple[float, ...]:
    if not isinstance(curve, list):
        return ()
    return tuple(float(v) for v in curve if isinstance(v, (int, float, str)))
