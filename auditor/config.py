"""The user's settings: `[tool.auditor]` in pyproject.toml or audit.yaml, below the command line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from auditor.configform import ConfigEntry, FailOn, IgnoreEntry, Profile
from auditor.document import Document, read_document, read_limited
from auditor.errors import AuditorError, ConfigError, UsageError, nearest
from auditor.grades import Severity
from auditor.ignores import Ignore
from auditor.packfile import validate
from auditor.rule import CATEGORIES, Rule
from auditor.scene import Override
from auditor.tomlfile import read_table

Numbers: TypeAlias = Mapping[str, Mapping[str, float]]

YAML_NAME = "audit.yaml"
TOML_NAME = "pyproject.toml"
# Keys of the first level may also be written with hyphens.
ROLES = ("model", "train_loader", "val_loader", "loss", "step", "optimizer", "scheduler")

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h)?")
_UNIT_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_ASSIGNMENT = re.compile(r"([^.=\s]+)\.([^.=\s]+)\s*=\s*(\S+)")


@dataclass(frozen=True, slots=True)
class Config:
    """The user's settings; None and empty where nothing is set.

    Attributes:
        file: Where they stand; empty without such a file.
        target: What is audited if none is named.
        names: Role -> name in the user's file, for roles that are set.
        budget_seconds: Wall time of an audit.
        seed: Of the audit.
        device: Where the model is trained.
        profile: How much is measured.
        select: Ids and categories of the rules to judge; empty for all.
        ignore: Ids and categories of rules to leave out.
        ignores: Findings that are shown as ignored and do not fail.
        fail_on: From which severity on the audit fails.
        strict: Also fail if something that had to be measured was not.
        baseline: File with the findings that are known.
        cache: Reuse measurements of an unchanged target.
        workers: Most processes that try fixes at a time.
        thresholds: Rule -> threshold -> limit.
        severities: Rule -> severity.
        rules: Further pack files.
        notes: Sentences for the reader of the report.
    """

    file: str = ""
    target: str | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    budget_seconds: float | None = None
    seed: int | None = None
    device: str | None = None
    profile: Profile | None = None
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    ignores: tuple[Ignore, ...] = ()
    fail_on: FailOn | None = None
    strict: bool | None = None
    baseline: Path | None = None
    cache: bool | None = None
    workers: int | None = None
    thresholds: Numbers = field(default_factory=dict)
    severities: Mapping[str, Severity] = field(default_factory=dict)
    rules: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    _document: Document | None = None

    def error(self, message: str, *path: str | int) -> ConfigError:
        """Return an error that points at a setting."""
        where = self._document.where(path, key=True) if self._document else self.file
        return ConfigError(message, where=where)

    def source(self, *path: str) -> str:
        """Return `file:line` of a setting; empty if the file does not have it."""
        document = self._document
        if document is None or not isinstance(document.data, dict) or path[0] not in document.data:
            return ""
        return f"{document.name}:{document.line(path)}"


def load_config(folder: Path) -> Config:
    """Return the settings of the nearest folder that has any, from `folder` upwards.

    In one folder `audit.yaml` stands before `pyproject.toml`; they are never merged.

    Raises:
        ConfigError: The file cannot be read, has an unknown key or a value that does not fit.
    """
    start = folder.resolve()
    for place in (start, *start.parents):
        yaml_file, toml_file = place / YAML_NAME, place / TOML_NAME
        table = _table(toml_file)
        if yaml_file.is_file():
            note = f"{YAML_NAME} was used; [tool.auditor] in {TOML_NAME} beside it was not"
            document = read_document(_bytes(yaml_file), _shown(yaml_file), ConfigError)
            return _config(document, place, (note,) if table else ())
        if table:
            return _config(table, place, ())
    return Config()


def parse_seconds(text: str | float, error: type[AuditorError] = UsageError) -> float:
    """Return a duration in seconds: 90, "90", "90s", "1.5m", "1h".

    Raises:
        AuditorError: Of the type `error`: no duration, or not above zero.
    """
    found = _DURATION.fullmatch(str(text).strip())
    seconds = float(found[1]) * _UNIT_SECONDS[found[2] or ""] if found else 0.0
    if not seconds > 0:
        raise error(f"'{text}' is no duration.", hint="Write it like 90s, 2m or 1h.")
    return seconds


def parse_thresholds(texts: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return limits from the command line, each written RULE.NAME=VALUE.

    Raises:
        UsageError: A text has another form.
    """
    limits: dict[str, dict[str, float]] = {}
    for text in texts:
        found = _ASSIGNMENT.fullmatch(text.strip())
        try:
            value = float(found[3]) if found else None
        except ValueError:
            value = None
        # NaN compares false with everything and would switch the rule off in silence.
        if found is None or value is None or value != value:
            raise UsageError(f"'{text}' sets no threshold.", hint="Write it RULE.NAME=VALUE, like "
                             "dying-relu.max_dead_share=0.7.")
        limits.setdefault(found[1], {})[found[2]] = value
    return limits


def overrides(
    rules: Sequence[Rule], config: Config, command_line: Numbers
) -> dict[str, dict[str, Override]]:
    """Return the limits that the user has set, the command line before the configuration.

    Raises:
        ConfigError: The configuration names a rule or threshold that does not exist.
        UsageError: The command line does.
    """
    known = {rule.id: rule for rule in rules}
    limits: dict[str, dict[str, Override]] = {}
    for source, numbers in (("configuration", config.thresholds), ("command line", command_line)):
        for rule, values in numbers.items():
            for name, value in values.items():
                problem = _unknown(known, rule, name)
                if problem and source == "configuration":
                    raise config.error(problem, "thresholds", rule, *([name] * (rule in known)))
                if problem:
                    raise UsageError(problem)
                limits.setdefault(rule, {})[name] = Override(value, source)
    return limits


def check_config(rules: Sequence[Rule], config: Config) -> None:
    """Check that the rules which the configuration names exist.

    Raises:
        ConfigError: One does not.
    """
    known = {rule.id for rule in rules}
    for rule in config.severities:
        if rule not in known:
            raise config.error(f"There is no rule '{rule}'{nearest(rule, known)}",
                               "severity", rule)
    for key, names in (("select", config.select), ("ignore", config.ignore)):
        for name in names:
            if name not in known and name not in CATEGORIES:
                raise config.error(_no_such_rule(name, known), key)
    for ignore in config.ignores:
        if ignore.rule not in known and ignore.rule not in CATEGORIES:
            raise ConfigError(_no_such_rule(ignore.rule, known), where=ignore.where)


def chosen_rules(
    rules: Sequence[Rule], select: Sequence[str] = (), ignore: Sequence[str] = ()
) -> tuple[Rule, ...]:
    """Return the rules to judge.

    Args:
        rules: All rules.
        select: Ids and categories; empty for all.
        ignore: Ids and categories to leave out. An id that is selected by name stays although
            its category is ignored.

    Raises:
        UsageError: A name is neither a rule nor a category.
    """
    known = {rule.id for rule in rules}
    for name in (*select, *ignore):
        if name not in known and name not in CATEGORIES:
            raise UsageError(_no_such_rule(name, known))
    return tuple(
        rule for rule in rules
        if (not select or rule.id in select or rule.category in select)
        and rule.id not in ignore and (rule.category not in ignore or rule.id in select)
    )


def _config(document: Document, folder: Path, notes: tuple[str, ...]) -> Config:
    if document.data is None:
        return Config(file=document.name, notes=notes)
    document = document.with_underscores()
    entry = validate(ConfigEntry, document, ConfigError)
    budget = None
    if entry.budget is not None:
        try:
            budget = parse_seconds(entry.budget, ConfigError)
        except ConfigError as problem:
            problem.where = document.where(("budget",))
            raise
    names = {role: getattr(entry, role) for role in ROLES}
    return Config(
        file=document.name, names={role: name for role, name in names.items() if name},
        budget_seconds=budget, seed=entry.seed, device=entry.device,
        target=_seen_from(folder, entry.target), profile=entry.profile, strict=entry.strict,
        baseline=folder / entry.baseline if entry.baseline else None, cache=entry.cache,
        workers=entry.workers,
        select=tuple(entry.select), fail_on=entry.fail_on,
        ignore=tuple(item.rule for item in entry.ignore if not item.reason),
        ignores=tuple(_ignore(document, index, item)
                      for index, item in enumerate(entry.ignore) if item.reason),
        thresholds=entry.thresholds, severities=entry.severity,
        rules=tuple(folder / path for path in entry.rules), notes=notes, _document=document,
    )


def _ignore(document: Document, index: int, entry: IgnoreEntry) -> Ignore:
    where = f"{document.name}:{document.line(('ignore', index))}"
    return Ignore(entry.rule, where, entry.reason, entry.layers or "")


def _seen_from(folder: Path, target: str | None) -> str | None:
    """Return a target of the configuration as it is written in the working directory."""
    if target is None:
        return None
    file, colon, attribute = target.partition(":")
    path = folder / file
    return f"{_shown(path)}{colon}{attribute}" if path.is_file() else target


def _table(path: Path) -> Document | None:
    if not path.is_file():
        return None
    return read_table(_bytes(path), _shown(path), ("tool", "auditor"), ConfigError)


def _bytes(path: Path) -> bytes:
    try:
        return read_limited(path)
    except OSError as problem:
        raise ConfigError(f"{path} cannot be read: {problem.strerror}.") from problem


def _shown(path: Path) -> str:
    """Return the path as a user would write it: relative if it lies below the working directory."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _unknown(known: Mapping[str, Rule], rule: str, name: str) -> str:
    if rule not in known:
        return f"There is no rule '{rule}'{nearest(rule, known)}"
    if name not in known[rule].thresholds:
        return (f"The rule '{rule}' has no threshold '{name}'"
                f"{nearest(name, known[rule].thresholds)}")
    return ""


def _no_such_rule(name: str, known: set[str]) -> str:
    return f"'{name}' is no rule and no category{nearest(name, (*known, *CATEGORIES))}"
