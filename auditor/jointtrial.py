"""What the fixes that helped are worth together: a trial of all, of all but one, of one alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from auditor.observation import Json, encode_tree, listed


@dataclass(frozen=True, slots=True)
class JointFix:
    """What one fix is worth beside the others; a value for each seed.

    Attributes:
        rule: Whose fix it is.
        remedy: That was applied.
        without: All fixes but this one; empty when it was not run.
        alone: Only this one.
        needed: Leaving it out loses what all together gain.
    """

    rule: str
    remedy: str
    without: tuple[float, ...]
    alone: tuple[float, ...]
    needed: bool


@dataclass(frozen=True, slots=True)
class JointTrial:
    """All fixes together, all but each one, and each one alone; a value for each seed.

    Attributes:
        measure: "accuracy", "mean recall", "R2" or "loss" after the last step.
        steps: Of each run.
        as_is: The target as it is.
        together: With all fixes.
        fixes: One by one.
    """

    measure: str
    steps: int
    as_is: tuple[float, ...]
    together: tuple[float, ...]
    fixes: tuple[JointFix, ...]

    def share_without(self, rule: str) -> float:
        """Return which part of the whole gain is left without a rule's fix; NaN if unknown."""
        without = next((fix.without for fix in self.fixes if fix.rule == rule), ())
        if not (without and self.as_is and self.together):
            return math.nan
        start, end, left = (sum(v) / len(v) for v in (self.as_is, self.together, without))
        return (left - start) / (end - start) if end != start else math.nan

    def to_json(self) -> dict[str, Json]:
        """Return the trial as a JSON object."""
        return {
            "measure": self.measure, "steps": self.steps,
            "as_is": encode_tree(self.as_is), "together": encode_tree(self.together),
            "fixes": [{"rule": fix.rule, "remedy": fix.remedy,
                       "without": encode_tree(fix.without), "alone": encode_tree(fix.alone),
                       "needed": fix.needed} for fix in self.fixes],
        }

    @classmethod
    def from_json(cls, data: Any) -> JointTrial:
        """Return the trial that `to_json` wrote."""
        return cls(
            data["measure"], data["steps"], _numbers(data, "as_is"), _numbers(data, "together"),
            tuple(JointFix(fix["rule"], fix["remedy"], _numbers(fix, "without"),
                           _numbers(fix, "alone"), fix["needed"])
                  for fix in listed(data, "fixes")),
        )


def _numbers(data: Any, key: str) -> tuple[float, ...]:
    return tuple(float(value) for value in listed(data, key))
