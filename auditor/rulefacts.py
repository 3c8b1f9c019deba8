"""What `audit explain` says of a rule besides its page: from the rule, or straight from our packs.

The models that check packs take longer to import than all else that explaining a rule needs. Our
own packs are checked by our tests and before every audit, so their words are taken as they stand;
packs of others are always checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from auditor import registry
from auditor.document import read_document
from auditor.errors import PackError
from auditor.packtexts import pack_texts

if TYPE_CHECKING:
    from auditor.rule import Rule


@dataclass(frozen=True, slots=True)
class Facts:
    """The words and limits of a rule; see `auditor.rule.Rule`.

    `limits` holds default, unit and source of each threshold by its name.
    """

    id: str
    category: str
    severity: str
    confidence: str
    status: str
    since: str
    for_each: str
    when: str
    severity_when: Mapping[str, str]
    at_start: str
    causes: tuple[str, ...]
    hides: tuple[str, ...]
    limits: Mapping[str, tuple[float, str, str]]


def facts_of(rule: Rule) -> Facts:
    """Return the facts of a rule."""
    return Facts(
        id=rule.id, category=rule.category, severity=rule.severity, confidence=rule.confidence,
        status=rule.status, since=rule.since, for_each=rule.for_each, when=rule.when.text,
        severity_when={key: condition.text for key, condition in rule.severity_when},
        at_start=rule.at_start.text if rule.at_start else "",
        causes=rule.causes, hides=rule.hides,
        limits={key: (item.default, item.unit, item.source)
                for key, item in rule.thresholds.items()},
    )


def own_facts(name: str) -> Facts | None:
    """Return the facts of one of our own rules, unchecked.

    None where there is no such rule, where it is there twice, and where a pack that mentions it
    is not what it has to be: then a checked reading has to tell what is wrong.
    """
    try:
        found = list(_written(name))
    except (PackError, LookupError, TypeError, AttributeError):
        return None
    return found[0] if len(found) == 1 else None


def _written(name: str) -> Iterator[Facts]:
    """Yield the facts of our rules of this name, as our packs have them."""
    for plugin in registry.plugins(registry.RULES):
        folder = registry.folder_of(plugin) if plugin.is_ours else None
        for text, shown in pack_texts(folder, plugin.module, f"id: {name}") if folder else ():
            pack: Any = read_document(text, shown, PackError).data
            for entry in pack["rules"]:
                if entry["id"] == name:
                    yield _facts_in(pack["category"], entry)


def _facts_in(category: str, entry: Mapping[str, Any]) -> Facts:
    same = ("id", "severity", "confidence", "status", "since", "for_each")
    return Facts(
        **{key: entry[key] for key in same}, category=category, when=entry["when"].strip(),
        severity_when={key: text.strip() for key, text in entry.get("severity_when", {}).items()},
        at_start=entry.get("at_start", "").strip(),
        causes=tuple(entry.get("causes", ())), hides=tuple(entry.get("hides", ())),
        limits={key: (item["default"], item["unit"], item["source"])
                for key, item in entry.get("thresholds", {}).items()},
    )
