"""The Python door: audit a file or a `Target`, get a `Report`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from auditor import registry
from auditor.config import chosen_rules
from auditor.errors import UsageError
from auditor.judge import Limits
from auditor.loading import load
from auditor.report import Report
from auditor.session import Progress, Session, Settings
from auditor.target import Target


def audit(
    target: str | Target,
    *,
    budget_seconds: float = 60.0,
    seed: int = 0,
    device: str = "cpu",
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    packs: Sequence[Path] = (),
    names: Mapping[str, str] | None = None,
    limits: Limits | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Find out why a training run will fail, by short trials on copies of its model and data.

    Args:
        target: `model.py`, `model.py:name`, `package.module:name`, or a `Target`.
        budget_seconds: Wall time for all probes, in seconds.
        seed: Of every trial.
        device: Where trials run ("cpu", "cuda"); a `Target` brings its own.
        select: Ids and categories of rules; empty for all.
        ignore: Ids and categories of rules to leave out.
        packs: Further rule packs.
        names: Role ("model", "train_loader", "loss", ...) -> the name in the file.
        limits: Thresholds and severities other than those of the packs.
        on_progress: Is told what happens.

    Raises:
        UsageError: A rule is unknown, or none is left.
        PackError: A pack cannot be used.
        TargetError: The target could not be loaded or run.
    """
    found = registry.rules(packs)
    rules = chosen_rules(tuple(found.items.values()), select, ignore)
    if not rules:
        raise UsageError("No rule is left to judge: all that is selected is ignored.")
    probes = registry.probes()
    registry.check_rules(rules, found, probes)
    tell = on_progress or (lambda progress: None)
    tell(Progress("loading", "reads the target", 0, 0, budget_seconds))
    if isinstance(target, str):
        target = load(target, names=names, seed=seed, device=device)
    session = Session(target, rules, probes.items, Settings(
        budget_seconds=budget_seconds, seed=seed, limits=limits or Limits(), on_progress=tell,
        notes=(*found.warnings, *probes.warnings),
    ))
    return session.run()
