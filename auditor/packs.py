"""Reads rule packs: from YAML to rules, checked before anything is measured."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from auditor.condition import Condition, NameKind, compile_condition
from auditor.document import Document
from auditor.document import Path as Position
from auditor.errors import PackError, nearest
from auditor.expression import ConditionError
from auditor.packfile import Category, FixEntry, PackEntry, RuleEntry, read_pack
from auditor.packtexts import pack_text, pack_texts
from auditor.rule import CATEGORIES, FixTemplate, Rule, Threshold
from auditor.template import Template, TemplateError, compile_template

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from auditor.observation import Quantity

# Names that texts may use besides quantities and thresholds; the second set needs subjects.
_RUN_NAMES = frozenset({"optimizer"})
_SUBJECT_NAMES = frozenset({"layer", "layers", "count", "total"})
# Features have names, but are no objects.
_CODE_NAMES = frozenset({"layer_code", "layers_code"})
_TAKEN = _RUN_NAMES | _SUBJECT_NAMES | _CODE_NAMES


def load_pack(source: Traversable | Path, name: str = "") -> tuple[Rule, ...]:
    """Return the rules of one pack file.

    Args:
        source: The YAML file.
        name: How errors show it; by default the file's name.

    Raises:
        PackError: The file cannot be read or is no pack.
    """
    name = name or (str(source) if isinstance(source, Path) else source.name)
    return parse_pack(pack_text(source, name), name)


@lru_cache(maxsize=64)
def parse_pack(data: bytes | str, name: str) -> tuple[Rule, ...]:
    """Return the rules of a pack's text; the same text is read once.

    Raises:
        PackError: The text is no pack.
    """
    pack, document = read_pack(data, name)
    rules = tuple(
        _Builder(entry, pack.category, document, ("rules", index)).rule()
        for index, entry in enumerate(pack.rules)
    )
    seen: dict[str, Rule] = {}
    for index, rule in enumerate(rules):
        if rule.id in seen:
            raise PackError(
                f"the rule '{rule.id}' appears twice (first at {seen[rule.id].origin})",
                where=document.where(("rules", index, "id")),
            )
        seen[rule.id] = rule
    return rules


def load_packs(
    folder: Traversable | Path, name: str = "", mentioned: str = "",
) -> tuple[Rule, ...]:
    """Return the rules of all `*.yaml` files of a folder, categories in catalogue order.

    Args:
        folder: Where the packs lie.
        name: How errors show it; by default the folder's name.
        mentioned: Only of files in whose text this stands.

    Raises:
        PackError: A file is no pack.
    """
    rules = [rule for text, shown in pack_texts(folder, name, mentioned)
             for rule in parse_pack(text, shown)]
    return tuple(sorted(rules, key=lambda rule: CATEGORIES.index(rule.category)))


def schema_text() -> str:
    """Return the JSON Schema of a pack, as `rules/schema.json` holds it for editors."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema",
              **PackEntry.model_json_schema()}
    return json.dumps(schema, indent=2) + "\n"


def check_against(rules: Sequence[Rule], quantities: Mapping[str, Quantity]) -> None:
    """Check what the rules speak of against what the probes can measure.

    Raises:
        PackError: A rule names a quantity that no probe declares, uses a flag as a number or the
            other way round, or mixes quantities of another scope.
    """
    for rule in rules:
        for name in (*rule.requires, *rule.mentions):
            quantity = quantities.get(name)
            if quantity is None:
                raise PackError(
                    f"The rule '{rule.id}' needs '{name}', which no installed probe measures"
                    f"{nearest(name, frozenset(quantities))}", where=rule.origin,
                )
            if quantity.scope not in ("run", rule.for_each):
                raise PackError(
                    f"The rule '{rule.id}' is judged for each {rule.for_each}; '{name}' is "
                    f"measured for each {quantity.scope}.", where=rule.origin,
                )
        if all(quantities[name].scope != rule.for_each for name in rule.requires):
            raise PackError(
                f"The rule '{rule.id}' is judged for each {rule.for_each}, but requires only "
                "values of the run.", where=rule.origin,
            )
        _check_kinds(rule, quantities)


def _check_kinds(rule: Rule, quantities: Mapping[str, Quantity]) -> None:
    kinds: dict[str, NameKind] = {
        name: quantities[name].kind for name in (*rule.requires, *rule.mentions)
    }
    for condition in rule.conditions:
        try:
            compile_condition(condition.text, kinds, frozenset(rule.thresholds))
        except ConditionError as problem:
            raise PackError(f"In the rule '{rule.id}': {problem}", where=rule.origin) from None


class _Builder:
    """Turns one entry of a pack into a rule; every error points into the document."""

    def __init__(
        self, entry: RuleEntry, category: Category, document: Document, path: Position
    ) -> None:
        self.entry = entry
        self.category = category
        self.document = document
        self.path = path
        self.thresholds = frozenset(entry.thresholds)
        self.quantities: dict[str, NameKind] = {
            name: "either" for name in (*entry.requires, *entry.mentions)
        }
        self._check_names()
        self.text_names = frozenset(self.quantities) | self.thresholds | _RUN_NAMES
        if entry.for_each != "run":
            self.text_names |= _SUBJECT_NAMES
        if entry.for_each in ("layer", "parameter"):
            self.text_names |= _CODE_NAMES

    def rule(self) -> Rule:
        """Return the rule."""
        entry = self.entry
        rule = Rule(
            id=entry.id, category=self.category, since=entry.since, status=entry.status,
            severity=entry.severity, confidence=entry.confidence, for_each=entry.for_each,
            requires=tuple(entry.requires), mentions=tuple(entry.mentions),
            when=self._when(),
            severity_when=tuple(
                (key, self._condition(text, "severity_when", key))
                for key, text in entry.severity_when.items()
            ),
            confidence_when=tuple(
                (key, self._condition(text, "confidence_when", key))
                for key, text in entry.confidence_when.items()
            ),
            at_start=(None if entry.at_start is None
                      else self._condition(entry.at_start, "at_start")),
            thresholds={
                key: Threshold(key, item.default, item.unit, item.source)
                for key, item in entry.thresholds.items()
            },
            title=self._text(entry.title, "title"), title_pass=entry.title_pass,
            message=self._text(entry.message, "message"), why=self._text(entry.why, "why"),
            place=entry.place or ("layer" if entry.for_each in ("layer", "parameter") else "none"),
            causes=tuple(entry.causes), hides=tuple(entry.hides),
            fixes=tuple(self._fix(fix, index) for index, fix in enumerate(entry.fixes)),
            references=tuple(entry.references),
            origin=f"{self.document.name}:{self.document.line(self.path)}",
        )
        self._check_use(rule)
        return rule

    def _when(self) -> Condition:
        condition = self._condition(self.entry.when, "when")
        for name in self.entry.mentions:
            if name in condition.names:
                raise self._error(
                    f"`when` hangs on '{name}', so it belongs to `requires`", "when"
                )
        return condition

    def _condition(self, text: str, *keys: str | int) -> Condition:
        try:
            return compile_condition(text, self.quantities, self.thresholds)
        except ConditionError as problem:
            where = self.document.where(
                (*self.path, *keys), part=(text, problem.column, problem.width)
            )
            raise PackError(problem.message, where=where) from None

    def _text(self, text: str, *keys: str | int) -> Template:
        try:
            return compile_template(text, self.text_names)
        except TemplateError as problem:
            start = text.find("{" + problem.field) if problem.field else -1
            part = (text, start + 1, len(problem.field)) if start >= 0 else None
            where = self.document.where((*self.path, *keys), part=part)
            raise PackError(str(problem), where=where) from None

    def _fix(self, fix: FixEntry, index: int) -> FixTemplate:
        return FixTemplate(
            summary=self._text(fix.summary, "fixes", index, "summary"),
            code=self._text(fix.code.rstrip("\n"), "fixes", index, "code"),
            safety=self._text(fix.safety, "fixes", index, "safety"),
            remedy=fix.remedy,
            when=self._condition(fix.when, "fixes", index, "when") if fix.when else None,
        )

    def _check_names(self) -> None:
        entry = self.entry
        names = [*entry.requires, *entry.mentions, *entry.thresholds]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise self._error(f"the name '{twice}' is declared twice", "requires")
        taken = next((name for name in names if name in _TAKEN), None)
        if taken:
            raise self._error(f"the name '{taken}' has a meaning of its own in texts", "requires")

    def _check_use(self, rule: Rule) -> None:
        used = {name for condition in rule.conditions for name in condition.names}
        used |= {name for text in rule.templates for name in text.names}
        idle = next((name for name in rule.thresholds if name not in used), None)
        if idle:
            raise self._error(f"the threshold '{idle}' is never used", "thresholds", idle)

    def _error(self, message: str, *keys: str | int) -> PackError:
        return PackError(message, where=self.document.where((*self.path, *keys)))
