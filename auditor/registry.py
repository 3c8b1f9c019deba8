"""Finds probes, rule packs and renderers by entry point: ours and anybody's, by the same door."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from importlib.util import find_spec, module_from_spec
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from auditor.errors import AuditorError, PackError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    # Of the contracts only the names are needed here; some bring torch with them.
    from auditor.observation import Quantity
    from auditor.probe import Probe
    from auditor.remedy import Remedy
    from auditor.report import Renderer
    from auditor.rule import Rule

_T = TypeVar("_T")

PROBES = "auditor.probes"
RULES = "auditor.rules"
RENDERERS = "auditor.renderers"
REMEDIES = "auditor.remedies"
# "none" leaves out everything that is not ours; our own tests set it.
SWITCH = "AUDITOR_PLUGINS"

_OURS = "auditor"
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Plugin:
    """One entry point.

    Attributes:
        group: Probes, rules, renderers or remedies.
        name: Of the entry point.
        module: The module or package that it names.
        distribution: The installed project that brings it.
        version: Of the project.
    """

    group: str
    name: str
    module: str
    distribution: str
    version: str

    @property
    def is_ours(self) -> bool:
        """Tell whether it comes with the auditor."""
        return self.distribution == _OURS

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


@dataclass(frozen=True, slots=True)
class Found(Generic[_T]):
    """What the plugins of one group bring.

    Attributes:
        items: By id or name, ours first.
        warnings: Which outsiders could not be used, and why.
        owners: Item -> the project that brings it; files that the user names have none.
        broken: Projects of which something could not be used.
    """

    items: Mapping[str, _T]
    warnings: tuple[str, ...] = ()
    owners: Mapping[str, str] = field(default_factory=dict)
    broken: frozenset[str] = frozenset()


def plugins(group: str) -> tuple[Plugin, ...]:
    """Return the plugins of a group, ours first, then by name of project.

    Raises:
        AuditorError: Not even our own are there: the auditor is not installed.
    """
    found = _installed(group)
    if not any(plugin.is_ours for plugin in found):
        raise AuditorError(
            f"The auditor is not installed: it has no entry points in the group {group}.",
            hint="Install it, for a checkout with `pip install -e .`.",
        )
    if os.environ.get(SWITCH, "").strip().lower() == "none":
        found = tuple(plugin for plugin in found if plugin.is_ours)
    return tuple(sorted(
        found, key=lambda item: (not item.is_ours, item.distribution, item.name)))


def rules(extra: Sequence[Path] = ()) -> Found[Rule]:
    """Return the rules of all packs; reading them imports no plugin.

    Args:
        extra: Pack files that the user names.

    Raises:
        PackError: A pack of ours or of the user cannot be used, or has a rule that exists already.
    """
    from auditor.packs import load_pack

    found = _rules()
    items = dict(found.items)
    for path in extra:
        for rule in load_pack(path):
            if rule.id in items:
                raise PackError(f"The rule '{rule.id}' exists already, in {items[rule.id].origin}.",
                                where=rule.origin, hint="Give it another id.")
            items[rule.id] = rule
    return replace(found, items=items)


def rules_beside(name: str, extra: Sequence[Path] = ()) -> Found[Rule]:
    """Return the rules of the packs that hold one of this name; of all packs if none does.

    Args:
        name: Id of the rule.
        extra: Pack files that the user names; with them all packs are read, because their rules
            must not exist already.

    Raises:
        PackError: As `rules` does, of the packs that are read.
    """
    found = None if extra else _rules(f"id: {name}")
    return found if found and name in found.items else rules(extra)


def _rules(mentioned: str = "") -> Found[Rule]:
    # What checks packs is slow to import, and not all need rules.
    from auditor.packs import load_packs

    return _collect(
        RULES, lambda plugin: load_packs(_folder(plugin), plugin.module, mentioned),
        lambda rule: (f"the rule '{rule.id}'",), lambda rule: rule.id,
    )


def probes() -> Found[type[Probe]]:
    """Return all probe classes by name; this imports them, and torch with them."""
    return _collect(
        PROBES, lambda plugin: _listed(plugin, "PROBES"),
        lambda probe: (f"the probe '{probe.name}'",
                       *(f"the quantity '{quantity.name}'" for quantity in probe.yields)),
        lambda probe: probe.name,
    )


def renderers() -> Found[Renderer]:
    """Return all renderers by name."""
    return _collect(
        RENDERERS, lambda plugin: _listed(plugin, "RENDERERS"),
        lambda renderer: (f"the format '{renderer.name}'",), lambda renderer: renderer.name,
    )


def remedies() -> Found[type[Remedy]]:
    """Return all remedy classes by name; this imports them, and torch with them."""
    return _collect(
        REMEDIES, lambda plugin: _listed(plugin, "REMEDIES"),
        lambda remedy: (f"the remedy '{remedy.name}'",), lambda remedy: remedy.name,
    )


def quantities(classes: Iterable[type[Probe]]) -> dict[str, Quantity]:
    """Return everything that these probes can measure, by name."""
    return {quantity.name: quantity for probe in classes for quantity in probe.yields}


def check_rules(
    chosen: Iterable[Rule], rules: Found[Rule], probes: Found[type[Probe]]
) -> None:
    """Check what the chosen rules speak of against what the probes can measure.

    Rules of a project whose probes are broken are let through: they are not measured.

    Raises:
        PackError: A rule does not fit the probes.
    """
    from auditor.packs import check_against

    whole = [rule for rule in chosen if rules.owners.get(rule.id) not in probes.broken]
    check_against(whole, quantities(probes.items.values()))


def page(rule: str, extra: Sequence[Path] = ()) -> str | None:
    """Return the page of a rule, or None if there is none.

    Args:
        rule: Its id.
        extra: Pack files that the user names; their pages lie in `pages/` beside them.
    """
    # The id comes from the command line and becomes a file name.
    if not _SLUG.fullmatch(rule):
        return None
    for folder in chain(map(folder_of, plugins(RULES)), (path.parent for path in extra)):
        text = folder / "pages" / f"{rule}.md" if folder else None
        if text is not None and text.is_file():
            return text.read_text(encoding="utf-8")
    return None


def folder_of(plugin: Plugin) -> Traversable | None:
    """Return a package's resources without running it: it may import torch."""
    spec = find_spec(plugin.module)
    if spec is None or spec.submodule_search_locations is None:
        return None
    # Read from disk where it lies there: pytest's loader knows only packages that have run.
    folder = next(map(Path, spec.submodule_search_locations), None)
    return folder if folder is not None and folder.is_dir() else files(module_from_spec(spec))


@cache
def _installed(group: str) -> tuple[Plugin, ...]:
    return tuple(map(_plugin, _entries()(group=group)))


@cache
def _entries() -> Callable[..., Iterable[EntryPoint]]:
    """Return what selects among all entry points; a file of every project is read for them."""
    return entry_points().select


def _plugin(entry: EntryPoint) -> Plugin:
    project = entry.dist
    return Plugin(
        group=entry.group, name=entry.name, module=entry.module,
        distribution=project.name if project else "unknown",
        version=project.version if project else "",
    )


def _collect(
    group: str, load: Callable[[Plugin], Iterable[_T]],
    claims: Callable[[_T], Iterable[str]], key: Callable[[_T], str],
) -> Found[_T]:
    """Load every plugin; a broken one of ours raises, a broken outsider becomes a warning.

    Args:
        group: Of the entry points.
        load: Gives what a plugin brings.
        claims: Gives, in words, what an item must be alone in having.
        key: Gives the name of an item.
    """
    items: dict[str, _T] = {}
    owners: dict[str, str] = {}
    taken: dict[str, Plugin] = {}
    complaints: list[tuple[Plugin, str]] = []
    for plugin in plugins(group):
        try:
            loaded = [(item, key(item), list(claims(item))) for item in load(plugin)]
        except Exception as problem:
            # An outsider can fail in any way, and the audit goes on without it.
            if plugin.is_ours:
                raise
            complaints.append((plugin, _cannot_be_used(plugin, problem)))
            continue
        for item, name, claimed in loaded:
            twice = next((claim for claim in claimed if claim in taken), None)
            if twice is None:
                items[name], owners[name] = item, plugin.distribution
                taken.update(dict.fromkeys(claimed, plugin))
            elif plugin.is_ours:
                raise PackError(f"{plugin} brings {twice} twice.")
            else:
                complaints.append((plugin, f"{plugin} brings {twice}, which {taken[twice]} has "
                                           "already; the former is left out"))
    return Found(items, tuple(text for _, text in complaints), owners,
                 frozenset(plugin.distribution for plugin, _ in complaints))


def _cannot_be_used(plugin: Plugin, problem: Exception) -> str:
    why = f"{type(problem).__name__}: {problem}"
    if isinstance(problem, AuditorError):
        why = problem.message
    return f"{plugin} ({plugin.group}) cannot be used: {why}"


def _listed(plugin: Plugin, name: str) -> Iterable[_T]:
    return tuple(getattr(import_module(plugin.module), name))


def _folder(plugin: Plugin) -> Traversable:
    folder = folder_of(plugin)
    if folder is None:
        raise PackError(f"The package {plugin.module} does not exist.")
    return folder
