"""How an audit is run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from auditor.journal import Journal
from auditor.judge import Limits
from auditor.progress import Progress


def nothing_on_top(step_seconds: float) -> float:
    """Return no seconds."""
    return 0.0


@dataclass(frozen=True)
class Settings:
    """How an audit is run.

    Attributes:
        budget_seconds: Wall time for all probes; infinity is legal.
        seed: Of every trial.
        limits: Thresholds and severities that the user has set.
        quick: Leave out the training trials.
        trials: Try the fixes of what was found.
        part: Of the budget that the user sets, which hints speak of.
        on_top: Gives the seconds that may be added to the budget for a probe that has too few,
            from those of a training step.
        workers: Most processes that try fixes at a time; None for as many as there are cores.
        notes: Sentences for the report.
        on_progress: Is told what happens.
        journal: Hears what is measured as it is measured, and knows what need not be.
    """

    budget_seconds: float = 60.0
    seed: int = 0
    limits: Limits = field(default_factory=Limits)
    quick: bool = False
    trials: bool = True
    part: float = 1.0
    on_top: Callable[[float], float] = nothing_on_top
    workers: int | None = None
    notes: tuple[str, ...] = ()
    on_progress: Callable[[Progress], None] = lambda progress: None
    journal: Journal = field(default_factory=Journal)
