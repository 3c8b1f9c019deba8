"""What is asked for: options and configuration, checked before anything is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor import registry
from auditor.config import (
    Config,
    check_config,
    chosen_rules,
    load_config,
    overrides,
    parse_thresholds,
)
from auditor.effective import Effective, settle
from auditor.errors import UsageError
from auditor.judge import Limits
from auditor.rule import CATEGORIES, Rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from auditor.candidate import Candidate
    from auditor.journal import Journal
    from auditor.progress import Progress
    from auditor.report import Report
    from auditor.target import Target


@dataclass(frozen=True, slots=True)
class Request:
    """One audit that can be made.

    Attributes:
        target: What is audited; empty when a saved run is judged.
        config: The user's settings.
        effective: Which settings count.
        packs: Rule packs of the user.
        rules: The selected rules.
        limits: Thresholds, severities and ignores of the user.
        trials: Try the fixes of what is found.
    """

    target: str
    config: Config
    effective: Effective
    packs: tuple[Path, ...]
    rules: tuple[Rule, ...]
    limits: Limits
    trials: bool = True

    def measure(
        self, on_progress: Callable[[Progress], None] | None = None,
        on_fixes: Callable[[Target, Mapping[str, Candidate]], None] | None = None,
        journal: Journal | None = None,
    ) -> Report:
        """Run the audit. This imports torch.

        Args:
            on_progress: Is told what happens.
            on_fixes: Is told the best fix of each finding, by rule, once it was tried.
            journal: Hears what is measured as it is measured.

        Raises:
            AuditorError: The target cannot be audited.
        """
        from auditor.api import audit
        from auditor.isolation import quiet_stdout

        settings = self.effective
        with quiet_stdout():
            return audit(
                self.target, budget_seconds=settings.budget_seconds, seed=settings.seed,
                device=settings.device, select=[rule.id for rule in self.rules],
                packs=self.packs, names=settings.names, limits=self.limits,
                profile=settings.profile, trials=self.trials, workers=settings.workers,
                on_progress=on_progress, on_fixes=on_fixes, journal=journal,
            )


def request(target: str | None, options: Mapping[str, Any]) -> Request:
    """Return what the options and the configuration beside the target ask for.

    Raises:
        AuditorError: Usage, configuration or a pack are wrong, or no target is named.
    """
    config = load_config(_folder_of(target) if target else Path.cwd())
    target = target or config.target
    if not target:
        raise UsageError("No target is named.", hint="Write `audit run model.py`, or set `target` "
                         "in [tool.auditor] of pyproject.toml.")
    return _checked(target, config, options)


def request_again(saved: Path, options: Mapping[str, Any]) -> Request:
    """Return what the options and the configuration beside a saved run ask for.

    Raises:
        AuditorError: Usage, configuration or a pack are wrong.
    """
    return _checked("", load_config(saved.absolute().parent), options)


def _checked(target: str, config: Config, options: Mapping[str, Any]) -> Request:
    packs = (*config.rules, *(Path(pack) for pack in options.get("packs", ())))
    known = tuple(registry.rules(packs).items.values())
    check_config(known, config)
    select = _listed(options.get("select", ()))
    ignore = _listed(options.get("ignore", ()))
    limits = Limits(
        overrides(known, config, parse_thresholds(options.get("thresholds", ()))),
        config.severities, config.ignores, (*(rule.id for rule in known), *CATEGORIES),
    )
    rules = chosen_rules(known, select or config.select, (*config.ignore, *ignore))
    if not rules:
        raise UsageError("No rule is left to judge: all that is selected is ignored.")
    return Request(target, config, settle(config, options), packs, rules, limits,
                   trials=not options.get("no_trials"))


def _folder_of(target: str) -> Path:
    folder = Path(target.partition(":")[0]).absolute().parent
    return folder if folder.is_dir() else Path.cwd()


def _listed(values: Sequence[str]) -> list[str]:
    """Return the names of a repeatable option whose values may be lists with commas."""
    return [part.strip() for value in values for part in value.split(",") if part.strip()]
