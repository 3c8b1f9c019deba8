"""The faulty set-ups of the accuracy benchmark: one small edit each of a healthy one.

`faulty/<category>.yaml` holds the edits. Each text that an edit replaces occurs exactly once in its
parent under `healthy/`, so a written file differs from it just as a user's slip would, and keeps
true line numbers. The written files stand alone and import nothing of ours.

`checked.json` says what training showed: see `how` in `Fault`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from .runner import Member

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Fault:
    """One faulty set-up.

    Attributes:
        name: rule and parent, unique over the table.
        rule: the rule that must be found, with no causes (infos: that must be found).
        parent: stem of the healthy file.
        edits: pairs of old and new text, applied in this order.
        also: other rules that may be roots as well, since the set-up has that property, too.
        how: why it is a fault. `trains-worse`, `val-worse` and `overfits` were measured in short
            runs beside the parent; `structural` holds by construction.
        note: the fault in a few words.
        home: folder of the parent.
    """

    name: str
    rule: str
    parent: str
    edits: tuple[tuple[str, str], ...]
    also: tuple[str, ...]
    how: str
    note: str
    home: Path = HERE / "healthy"

    def source(self) -> str:
        """Return the faulty file's text.

        Raises:
            ValueError: an old text does not occur exactly once.
        """
        text = (self.home / f"{self.parent}.py").read_text(encoding="utf-8")
        for old, new in self.edits:
            if text.count(old) != 1:
                raise ValueError(f"{self.name}: {old!r} occurs {text.count(old)} times")
            text = text.replace(old, new)
        return text

    def write(self, folder: Path) -> Path:
        """Write the faulty file into the folder and return its path."""
        path = folder / (self.name.replace("-", "_") + ".py")
        path.write_text(self.source(), encoding="utf-8")
        return path


def faults() -> Iterator[Fault]:
    """Yield all faulty set-ups in the order of the tables."""
    for table in sorted((HERE / "faulty").glob("*.yaml")):
        for entry in yaml.safe_load(table.read_text(encoding="utf-8")):
            edits = tuple((edit["old"], edit["new"]) for edit in entry.pop("edits"))
            also = tuple(entry.pop("also", ()))
            yield Fault(edits=edits, also=also, **entry)


def members(folder: Path) -> list[Member]:
    """Write every faulty file into the folder; return them as members of the benchmark."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        Member(
            fault.name, fault.write(folder), (fault.rule,), fault.also, f"healthy-{fault.parent}"
        )
        for fault in faults()
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="write the faulty set-ups into a folder")
    parser.add_argument("folder", type=Path)
    written = members(parser.parse_args().folder)
    print(f"{len(written)} files, {len({member.roots for member in written})} rules")
