"""Which value of every setting counts, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditor.config import ROLES, Config, parse_seconds
from auditor.configform import FailOn, Profile

BUDGET_SECONDS: Mapping[Profile, float] = {"quick": 30.0, "standard": 60.0, "thorough": 300.0}
COMMAND_LINE = "command line"
DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Effective:
    """The settings of one audit.

    Attributes:
        profile: How much is measured.
        budget_seconds: Wall time for all probes.
        seed: Of every trial.
        device: Where trials run.
        fail_on: From which severity on the audit fails.
        strict: Also fail if something that had to be measured was not.
        baseline: File with the findings that are known.
        cache: Reuse measurements of an unchanged target.
        workers: Most processes that try fixes at a time; None for as many as there are cores.
        names: Role -> name in the target.
        sources: Setting -> where its value comes from.
    """

    profile: Profile
    budget_seconds: float
    seed: int
    device: str
    fail_on: FailOn
    strict: bool
    baseline: Path | None
    cache: bool
    workers: int | None
    names: Mapping[str, str]
    sources: Mapping[str, str]


def settle(config: Config, options: Mapping[str, Any]) -> Effective:
    """Return what counts: the command line before the configuration before the defaults.

    Raises:
        UsageError: A value of the command line does not fit.
    """
    plain = ("profile", "seed", "device", "fail_on", "strict", "workers")
    given = {name: options[name] for name in plain
             if options.get(name) is not None}
    if options.get("no_cache"):
        given["cache"] = False
    if options.get("baseline"):
        given["baseline"] = Path(options["baseline"])
    if options.get("budget"):
        given["budget_seconds"] = parse_seconds(options["budget"])
    defaults = {"profile": "standard", "seed": 0, "device": "cpu", "fail_on": "error",
                "strict": False, "baseline": None, "cache": True, "workers": None}
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name, default in defaults.items():
        values[name], sources[name] = _first(name, given, config, default, DEFAULT)
    profile: Profile = values["profile"]
    values["budget_seconds"], sources["budget"] = _first(
        "budget_seconds", given, config, BUDGET_SECONDS[profile], f"profile {profile}")
    names = {**config.names, **{role: options[role] for role in ROLES if options.get(role)}}
    sources |= {role: COMMAND_LINE if options.get(role) else config.source(role)
                for role in names}
    return Effective(**values, names=names, sources=sources)


def _first(
    name: str, given: Mapping[str, Any], config: Config, default: object, origin: str,
) -> tuple[Any, str]:
    if name in given:
        return given[name], COMMAND_LINE
    found = getattr(config, name)
    if found is not None:
        return found, config.source(name.removesuffix("_seconds"))
    return default, origin
