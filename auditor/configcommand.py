"""The text of `audit config`: which settings are in effect, and where each comes from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from auditor import registry
from auditor.config import Config, check_config, load_config, overrides
from auditor.configform import config_schema
from auditor.effective import DEFAULT, settle

_EVERYTHING = "all rules"


def config_text(folder: Path) -> str:
    """Return one line a setting: name, value, and `file:line`, profile or default.

    Raises:
        AuditorError: The configuration cannot be used.
    """
    config = load_config(folder)
    rows = list(_rows(config))
    name_width = max(len(name) for name, _, _ in rows)
    value_width = max(len(value) for _, value, _ in rows)
    head = config.file or "No configuration was found; these are the defaults."
    lines = [f"{name:<{name_width}}  {value:<{value_width}}  {source}".rstrip()
             for name, value, source in rows]
    return "\n".join([head, "", *lines, *config.notes])


def schema_text() -> str:
    """Return the JSON Schema of the configuration."""
    return json.dumps(config_schema(), indent=2) + "\n"


def _rows(config: Config) -> Iterator[tuple[str, str, str]]:
    settings = settle(config, {})
    sources = settings.sources
    yield "target", config.target or "-", config.source("target") or DEFAULT
    for name in ("profile", "seed", "device", "fail_on", "strict", "cache"):
        yield name.replace("_", "-"), _value(getattr(settings, name)), sources[name]
    yield "workers", str(settings.workers or "as many as cores"), sources["workers"]
    yield "budget", f"{settings.budget_seconds:g}s", sources["budget"]
    yield "baseline", str(settings.baseline or "-"), sources["baseline"]
    for role, found in settings.names.items():
        yield role.replace("_", "-"), found, sources[role]
    yield "select", ", ".join(config.select) or _EVERYTHING, config.source("select") or DEFAULT
    yield from _judgement(config)


def _judgement(config: Config) -> Iterator[tuple[str, str, str]]:
    """Yield what is ignored, and limits and severities that are not those of the packs."""
    known = registry.rules(config.rules).items
    check_config(tuple(known.values()), config)
    limits = overrides(tuple(known.values()), config, {})
    for name in config.ignore:
        yield "ignore", f"{name} (not judged)", config.source("ignore")
    for item in config.ignores:
        where = f" in {item.layers}" if item.layers else ""
        yield "ignore", f"{item.rule}{where} ({item.reason})", item.where
    for pack in config.rules:
        yield "rules", str(pack), config.source("rules")
    for rule, severity in config.severities.items():
        yield f"severity.{rule}", f"{severity} (pack: {known[rule].severity})", config.source(
            "severity")
    for rule, values in limits.items():
        yield from _thresholds(config, rule, values, known[rule].thresholds)


def _thresholds(
    config: Config, rule: str, values: Mapping[str, Any], packed: Mapping[str, Any],
) -> Iterator[tuple[str, str, str]]:
    for name, override in values.items():
        yield (f"{rule}.{name}", f"{override.value:g} (pack: {packed[name].default:g})",
               config.source("thresholds", rule, name))


def _value(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
