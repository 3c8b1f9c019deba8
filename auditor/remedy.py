"""The contract of a remedy: a fix that a program can apply to copies of the target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, TypeAlias

from auditor.finding import Finding, Fix
from auditor.isolation import seeded
from auditor.observation import Scalar
from auditor.report import Report
from auditor.sourceedit import Edit
from auditor.store import BatchStore
from auditor.target import Target
from auditor.trial import Bench

Judges: TypeAlias = Literal["held-out", "mended", "validation"]


class CannotMend(Exception):  # noqa: N818 - it is an outcome, not an error
    """Raised by a remedy that cannot be applied to this target; the text is the reason."""


@dataclass(frozen=True)
class Case:
    """What a remedy works with.

    Attributes:
        finding: That is to be mended.
        fix: Of the finding, which names the remedy.
        report: As far as it is judged; its observations hold the numbers.
        target: As it is; a remedy makes another one and never changes this.
        batches: Read once and shared with the probes.
        seed: Of the audit.
    """

    finding: Finding
    fix: Fix
    report: Report
    target: Target
    batches: BatchStore
    seed: int = 0

    def value(self, name: str, subject: str = "") -> Scalar | None:
        """Return what a probe measured, or None."""
        for observation in self.report.observations:
            found = observation.value(name, subject)
            if found is not None:
                return found
        return None

    def number(self, name: str, subject: str = "") -> float:
        """Return a measured number.

        Raises:
            CannotMend: It was not measured.
        """
        found = self.value(name, subject)
        if isinstance(found, bool) or not isinstance(found, (int, float)):
            raise CannotMend(f"{name.replace('_', ' ')} was not measured")
        return float(found)

    def look(self, see: Callable[[Bench, Any], Any]) -> Any:
        """Show a fresh copy and a first batch to a function, and return what it makes of them."""
        with seeded(self.seed):
            batch = next(self.batches.cycled(1))
            return see(Bench(self.target), batch)


@dataclass(frozen=True)
class Mended:
    """What a remedy makes of a target.

    Attributes:
        apply: Returns the mended target for the one that is given; several are applied in turn.
        says: What was done, with the user's names and the numbers; takes the place of the fix's
            summary when it helps. Empty keeps the pack's words.
        code: Likewise for the snippet.
        keeps_loss: Loss values before and after mean the same and can be compared.
        judged_mended: Both versions are judged on the mended path (forward, loss and data).
        judges: Which samples judge: training batches that no step sees, those of the mended
            loader, or the validation batches.
        balanced: Judged by the mean recall over classes instead of the accuracy.
        edits: Changes of the user's file that do the same, where they are mechanical.
    """

    apply: Callable[[Target], Target]
    says: str = ""
    code: str = ""
    keeps_loss: bool = True
    judged_mended: bool = False
    judges: Judges = "held-out"
    balanced: bool = False
    edits: tuple[Edit, ...] = ()


class Remedy(Protocol):
    """A fix that can be tried.

    Attributes:
        name: As packs name it in `remedy:`.
        says: What it does, in one line.
    """

    name: ClassVar[str]
    says: ClassVar[str]

    def mend(self, case: Case) -> Mended:
        """Return the mended version; nothing that the user owns is changed.

        Raises:
            CannotMend: It does not apply to this finding or this target.
        """
        ...


def together(target: Target, mended: Sequence[Mended]) -> Target:
    """Return the target with all of these remedies applied, in their order."""
    for one in mended:
        target = one.apply(target)
    return target
