"""What it costs to keep the state of a training and to return to it."""

from __future__ import annotations

from collections.abc import Callable

from auditor.snapshot import Snapshot

from .models import Training
from .timing import PLAIN, interleaved

_KEEP, _RETURN = "snapshot", "restore"


def table(names: list[str], *, seconds: float, device: str) -> str:
    """Measure and return a Markdown table, in units of a plain step."""
    lines = ["| model | | plain steps [95 %] |", "|---|---|---|"]
    for name in names:
        found = interleaved({PLAIN: Training(name, functional=True, device=device).step,
                             **_variants(Training(name, functional=True, device=device))},
                            seconds=seconds / len(names), device=device)
        lines += [f"| {name} | {kind} | {found[kind]} |" for kind in (_KEEP, _RETURN)]
    return "\n".join(lines)


def _variants(training: Training) -> dict[str, Callable[[], None]]:
    training.step()
    kept = Snapshot.of(training.model, training.optimizer, 1)
    return {
        _KEEP: lambda: _dropped(Snapshot.of(training.model, training.optimizer, 1)),
        _RETURN: lambda: kept.put_back(training.model, training.optimizer),
    }


def _dropped(_: Snapshot) -> None:
    """Let go of what was made only to be timed."""
