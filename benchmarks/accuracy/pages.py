"""Writes into each rule's page, under "When it may be wrong", what the benchmark found."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from .runner import Member, Result
from .score import RuleScore, alarming, score

PAGES = Path(__file__).resolve().parents[2] / "rules" / "pages"
_BEGIN = "In the accuracy benchmark"
_SECTION = re.compile(r"(## When it may be wrong\n.*?)(\n## |\Z)", re.DOTALL)


def write(
    folder: Path, members: Sequence[Member], results: Sequence[Result], when: str,
) -> None:
    """Replace the benchmark's sentence in every page of the folder.

    Args:
        folder: Of the pages, `<rule>.md`.
        members: Of the zoo.
        results: Of their audits.
        when: Date and machine, as the sentence tells them.
    """
    scores = score(members, results)
    healthy = {member.name for member in members if member.healthy}
    calm = [result for result in results if result.member in healthy]
    for page in sorted(folder.glob("*.md")):
        rule = page.stem
        false = sum(rule in alarming(result) for result in calm)
        sentence = said(scores.get(rule, RuleScore()), false, len(calm), len(results), when)
        text = page.read_text(encoding="utf-8")
        page.write_text(_placed(text, sentence), encoding="utf-8")


def said(entry: RuleScore, false: int, healthy: int, audits: int, when: str) -> str:
    """Return the sentence for one rule.

    Args:
        entry: How the rule did.
        false: Healthy audits in which it raised an error or a warning.
        healthy: Audits of healthy members.
        audits: All audits.
        when: Date and machine.
    """
    if entry.members:
        found = f"it was named as the root in {entry.root} of {entry.members} audits with its fault"
    else:
        found = "none of the audited members had its fault"
    beside = entry.wrong - min(false, entry.wrong)
    missed = ", ".join(name for name, _ in entry.instead.most_common(2))
    return (f"{_BEGIN} ({when}) {found}. It was a false alarm in {false} of {healthy} audits of "
            f"healthy set-ups, and stood beside or in place of another fault in {beside} of "
            f"{audits - healthy}." + (f" Named instead: {missed}." if missed else ""))


def _placed(text: str, sentence: str) -> str:
    """Return a page's text with the sentence as the last line of its section."""
    kept = "\n".join(line for line in text.split("\n") if not line.startswith(_BEGIN))
    return _SECTION.sub(lambda found: f"{found[1].rstrip()}\n{sentence}\n{found[2]}", kept, count=1)
