"""What `audit run` and `audit diagnose` do, from options to exit code."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from auditor import registry
from auditor.config import (
    ROLES,
    Config,
    check_config,
    chosen_rules,
    load_config,
    overrides,
    parse_seconds,
    parse_thresholds,
)
from auditor.document import decode_text
from auditor.errors import ObservationError
from auditor.judge import Limits, judge
from auditor.output import plan_outputs, write_file, write_screen
from auditor.packs import check_against
from auditor.progress import ProgressLine
from auditor.report import Renderer, Report
from auditor.rule import Rule

BUDGET_SECONDS = 60.0
INTERRUPTED = 130
# A model of thousands of layers makes a report of some ten megabytes.
_LARGEST_REPORT = 256 << 20


def run_command(target: str, options: Mapping[str, Any]) -> int:
    """Measure, judge, write, and return the exit code.

    Raises:
        AuditorError: Usage, configuration, pack or target are wrong.
    """
    files, screen = _outputs(options)
    config = load_config(_folder_of(target))
    packs, rules, limits = _judgement(config, options)
    names = {**config.names, **{role: options[role] for role in ROLES if options[role]}}
    budget = options["budget"]

    # From here on torch is there.
    from auditor.api import audit
    from auditor.isolation import quiet_stdout

    with ProgressLine(quiet=options["quiet"]) as progress, quiet_stdout():
        report = audit(
            target,
            budget_seconds=parse_seconds(budget) if budget else _first(config.budget_seconds,
                                                                       BUDGET_SECONDS),
            seed=_first(options["seed"], config.seed, 0),
            device=_first(options["device"], config.device, "cpu"),
            select=[rule.id for rule in rules], packs=packs, names=names, limits=limits,
            on_progress=progress,
        )
    return _deliver(report, files, screen, config, options)


def diagnose_command(path: Path, options: Mapping[str, Any]) -> int:
    """Judge a saved run again, write, and return the exit code.

    Raises:
        AuditorError: Usage, configuration or pack are wrong, or the file is no saved run.
    """
    files, screen = _outputs(options)
    config = load_config(path.absolute().parent)
    _, rules, limits = _judgement(config, options)
    report = read_report(path)
    check_against(rules, report.quantities)
    return _deliver(judge(report, rules, limits), files, screen, config, options)


def read_report(path: Path) -> Report:
    """Return the report or saved run of a file.

    Raises:
        ObservationError: It cannot be read, is too large, or is no report of this schema.
    """
    try:
        if path.stat().st_size > _LARGEST_REPORT:
            raise ObservationError(f"{path} is too large for a saved run.")
        text = decode_text(path.read_bytes(), str(path), ObservationError, limit=_LARGEST_REPORT)
        return Report.from_json(json.loads(text))
    except OSError as problem:
        raise ObservationError(f"{path} cannot be read: {problem.strerror}.") from problem
    except (ValueError, RecursionError) as problem:
        raise ObservationError(f"{path} is no JSON file: {problem}.") from problem


def _outputs(options: Mapping[str, Any]) -> tuple[list[tuple[Path, Renderer]], Renderer]:
    renderers = registry.renderers().items
    files, screen = plan_outputs(options["outputs"], options["format_name"], renderers)
    if options.get("save"):
        saved, _ = plan_outputs([options["save"]], "json", renderers)
        files += saved
    return files, screen


def _judgement(
    config: Config, options: Mapping[str, Any],
) -> tuple[list[Path], Sequence[Rule], Limits]:
    """Return packs, selected rules and limits; the command line stands before the configuration."""
    packs = [*config.rules, *(Path(pack) for pack in options["packs"])]
    known = tuple(registry.rules(packs).items.values())
    check_config(known, config)
    select, ignore = _listed(options["select"]), _listed(options["ignore"])
    rules = chosen_rules(known, select or config.select, (*config.ignore, *ignore))
    limits = Limits(overrides(known, config, parse_thresholds(options["thresholds"])),
                    config.severities)
    return packs, rules, limits


def _deliver(
    report: Report, files: Sequence[tuple[Path, Renderer]], screen: Renderer, config: Config,
    options: Mapping[str, Any],
) -> int:
    for path, renderer in files:
        write_file(path, renderer.render(report))
    if not options["quiet"]:
        write_screen(report, screen, verbose=options["verbose"])
    if report.environment.get("interrupted"):
        return INTERRUPTED
    limit = _first(options["fail_on"], config.fail_on, "error")
    return int(limit != "never" and report.reaches(limit))


def _folder_of(target: str) -> Path:
    folder = Path(target.partition(":")[0]).absolute().parent
    return folder if folder.is_dir() else Path.cwd()


def _listed(values: Sequence[str]) -> list[str]:
    """Return the names of a repeatable option whose values may be lists with commas."""
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


def _first(*values: Any) -> Any:
    """Return the first value that is set."""
    return next((value for value in values if value is not None), None)
