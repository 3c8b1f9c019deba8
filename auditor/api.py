"""The Python door: audit a file or a `Target`, get a `Report`."""

from __future__ import annotations

import gc
import itertools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from auditor import registry
from auditor.candidate import Candidate
from auditor.config import chosen_rules
from auditor.configform import Profile
from auditor.errors import UsageError
from auditor.facts import blank_report
from auditor.fixes import RESERVE, Audited, fixes_to_try, too_slow_to_try, tried
from auditor.handmade import guarded
from auditor.innergradients import with_inner_gradients
from auditor.isolation import eagerly, unchanged_process
from auditor.journal import Journal
from auditor.judge import Limits, summaries
from auditor.loading import load
from auditor.plan import without_trials
from auditor.probe import Probe
from auditor.progress import Progress
from auditor.report import Report
from auditor.rule import CATEGORIES, Rule
from auditor.seeds import merged
from auditor.session import Session
from auditor.settings import Settings
from auditor.target import Target

# Under how many seeds everything is measured.
SEEDS: Mapping[Profile, int] = {"quick": 1, "standard": 1, "thorough": 3}
# Files that were loaded in this process.
_LOADED = itertools.count()


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
    profile: Profile = "standard",
    trials: bool = True,
    workers: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_fixes: Callable[[Target, Mapping[str, Candidate]], None] | None = None,
    journal: Journal | None = None,
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
        profile: "quick" takes no training trials, "thorough" measures under three seeds.
        trials: Try the fixes of what was found on copies.
        workers: Most processes that try fixes at a time; None for as many as there are cores.
            What they find does not depend on it.
        on_progress: Is told what happens.
        on_fixes: Is told the best fix of each finding, by rule, once it was tried.
        journal: Hears what is measured as it is measured, and knows what need not be.

    Raises:
        UsageError: A rule is unknown, or none is left.
        PackError: A pack cannot be used.
        TargetError: The target could not be loaded or run.
    """
    found = registry.rules(packs)
    every = tuple(found.items.values())
    rules = chosen_rules(every, select, ignore)
    if not rules:
        raise UsageError("No rule is left to judge: all that is selected is ignored.")
    probes = registry.probes()
    registry.check_rules(rules, found, probes)
    notes = [*found.warnings, *probes.warnings]
    if profile == "quick":
        rules, note = _quick(rules, probes.items)
        notes += note
    journal = journal or Journal()
    tell = on_progress or journal.tell
    tell(Progress("loading", "reads the target", 0, 0, budget_seconds))
    limits = limits or Limits()
    if isinstance(target, str):
        blank = blank_report(target, probes.items, seed=seed, device=device)
        journal.began(seed, replace(blank, rules=summaries(rules, limits)))
        if next(_LOADED):
            # Functions of the last file and their globals hold each other, and the data with them.
            gc.collect()
        target = load(target, names=names, seed=seed, device=device)
    settings = Settings(
        budget_seconds=budget_seconds, seed=seed, quick=profile == "quick", on_progress=tell,
        trials=trials and profile != "quick", workers=workers,
        limits=limits if limits.known else replace(limits, known=_names(every)),
        notes=tuple(notes), journal=journal,
    )
    guard, put_back = guarded(target)
    try:
        with unchanged_process(), eagerly():
            report, chosen = _audited(
                with_inner_gradients(guard), rules, probes.items, settings, SEEDS[profile])
    finally:
        put_back()
    if on_fixes is not None:
        on_fixes(target, chosen)
    return report


def _quick(
    rules: Sequence[Rule], probes: Mapping[str, type[Probe]],
) -> tuple[tuple[Rule, ...], list[str]]:
    """Return the rules that need no training trials, and a sentence about the others.

    Raises:
        UsageError: All need trials.
    """
    kept, others = without_trials(probes, rules)
    if not kept:
        raise UsageError("The quick profile takes no training trials, and all of the selected "
                         "rules need them.", hint="Use --profile standard.")
    names = ", ".join(rule.id for rule in others)
    note = f"The quick profile takes no training trials. Left out: {names}."
    return tuple(kept), [note] if others else []


def _names(rules: Sequence[Rule]) -> tuple[str, ...]:
    return (*(rule.id for rule in rules), *CATEGORIES)


def _audited(
    target: Target, rules: Sequence[Rule], probes: Mapping[str, type[Probe]],
    settings: Settings, seeds: int,
) -> tuple[Report, Mapping[str, Candidate]]:
    """Measure under one or several seeds, judge once, and try the fixes in what time is left."""
    begin = time.monotonic()
    end = begin + settings.budget_seconds
    # Of time without end nothing need be kept.
    keeps = settings.trials and math.isfinite(settings.budget_seconds)
    kept = RESERVE * settings.budget_seconds if keeps else 0.0
    reports: list[Report] = []
    for index in range(seeds):
        share = max(end - kept - time.monotonic(), 0.0) / (seeds - index)
        session = Session(target, rules, probes, replace(
            settings, seed=settings.seed + index, budget_seconds=share,
            part=share / settings.budget_seconds if 0 < share < math.inf else 1.0,
            on_top=partial(_on_top, kept / (seeds - index), kept)))
        reports.append(session.observe())
        if too_slow_to_try(session.step_seconds, kept):
            kept = 0.0
        if session.interrupted:
            break
    report = session.judged(merged(reports))
    left = end - time.monotonic()
    tries = (settings.trials and fixes_to_try(report, registry.remedies().items)
             and not too_slow_to_try(session.step_seconds, left))
    if seeds == 1 and session.left_out and left > 0 and not session.interrupted and not tries:
        # What was kept for the trials of fixes is not needed, or not enough.
        report = session.judged(session.observe_the_rest(left))
    settings.journal.judged(report)
    if session.interrupted or not settings.trials:
        return report, {}
    audited = Audited(target, rules, probes, registry.remedies().items, settings,
                      session.step_seconds)
    return tried(report, audited, end)


def _on_top(part: float, kept: float, step_seconds: float) -> float:
    """Return a part of what is kept for the trials of fixes where no trial fits into it."""
    return part if too_slow_to_try(step_seconds, kept) else 0.0
