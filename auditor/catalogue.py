"""The texts of `audit rules`, `audit explain` and `audit probes`."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from auditor import registry
from auditor.errors import UsageError, nearest
from auditor.rulefacts import Facts, facts_of, own_facts

_WIDTH = 80


def rule_list(packs: Sequence[str] = ()) -> str:
    """Return one line a rule, by category: id, severity, what is fine when it does not fire."""
    from auditor.rule import CATEGORIES

    found = registry.rules([Path(pack) for pack in packs])
    rules = list(found.items.values())
    wide = max(len(rule.id) for rule in rules)
    lines = []
    for category in CATEGORIES:
        members = [rule for rule in rules if rule.category == category]
        if members:
            lines += ["", category, *(f"  {rule.id:<{wide}}  {rule.severity:<7}  "
                                      f"for each {rule.for_each}" for rule in members)]
    lines += ["", f"{len(rules)} rules. `audit explain RULE` says more of one.", *found.warnings]
    return "\n".join(lines[1:])


def explanation(name: str, packs: Sequence[str] = ()) -> str:
    """Return the page of a rule with its effective thresholds.

    Raises:
        UsageError: There is no such rule.
    """
    paths = [Path(pack) for pack in packs]
    # With packs of the user all are read: their rules must not exist already.
    facts = (None if paths else own_facts(name)) or _checked_facts(name, paths)
    page = registry.page(name, paths) or f"# {name}\n\n(This rule has no page.)\n"
    return f"{page.rstrip()}\n\n{_told(facts)}"


def _checked_facts(name: str, paths: Sequence[Path]) -> Facts:
    rules = registry.rules_beside(name, paths).items
    if name not in rules:
        raise UsageError(f"There is no rule '{name}'{nearest(name, rules)}",
                         hint="`audit rules` lists them all.")
    return facts_of(rules[name])


def probe_list() -> str:
    """Return each probe with its cost and what it measures. This imports torch."""
    found = registry.probes()
    blocks = []
    for probe in found.items.values():
        steps = f"at most {probe.cost.steps} training steps" if probe.cost.steps else "no training"
        if probe.cost.usual is not None:
            steps += f", on most targets {probe.cost.usual}"
        names = ", ".join(quantity.name for quantity in probe.yields)
        blocks.append(f"{probe.name}: {probe.says} ({steps})\n"
                      + textwrap.fill(names, _WIDTH, initial_indent="  ",
                                      subsequent_indent="  "))
    return "\n".join([*blocks, *found.warnings])


def _told(rule: Facts) -> str:
    lines = [
        "## Facts", "",
        f"category {rule.category}, severity {rule.severity}, confidence {rule.confidence}, "
        f"{rule.status} since {rule.since}",
        "",
        f"Fires for each {rule.for_each} when: {rule.when}",
    ]
    lines += [f"{severity} when: {text}" for severity, text in rule.severity_when.items()]
    if rule.at_start:
        lines += [f"No rate is the cause when: {rule.at_start}"]
    if rule.causes:
        lines += ["", f"Can be a consequence of: {', '.join(rule.causes)}"]
    if rule.hides:
        lines += ["", f"While it stands, these cannot be judged: {', '.join(rule.hides)}"]
    if rule.limits:
        lines += ["", "Limits (change one with --threshold "
                  f"{rule.id}.NAME=VALUE or in the configuration):"]
        for name, (limit, unit, source) in rule.limits.items():
            text = f"{name} = {limit:g} {unit}".rstrip()
            lines.append(textwrap.fill(f"{text}: {source}", _WIDTH, initial_indent="  ",
                                       subsequent_indent="      "))
    return "\n".join(lines)
