"""The published programs: fixed twins under `fixed/`, faulty ones as small edits of them.

`faulty/<suite>.yaml` holds the edits, with the source of each program. A written file stands alone,
imports nothing of ours and keeps true line numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks.accuracy.faults import Fault
from benchmarks.accuracy.runner import Member

HERE = Path(__file__).resolve().parent
FIXED = HERE / "fixed"


@dataclass(frozen=True)
class Case:
    """One published faulty program.

    Attributes:
        id: As in the literature, or a name of the pattern.
        suite: The table that it stands in.
        source: Where it was published.
        twin: Stem of the file without the fault.
        fault: What is wrong, in a few words.
        expect: Rules of which one must be a root; empty where the catalogue has no name for it.
        edits: Pairs of old and new text that make the faulty file out of its twin.
    """

    id: str
    suite: str
    source: str
    twin: str
    fault: str
    expect: tuple[str, ...]
    edits: tuple[tuple[str, str], ...]

    def written(self, folder: Path) -> Member:
        """Write the faulty file into the folder, and return it as a member of a benchmark."""
        fault = Fault(self.id, "", self.twin, self.edits, (), "", self.fault, home=FIXED)
        return Member(self.id, fault.write(folder), self.expect, parent=f"fixed-{self.twin}")


def cases() -> Iterator[Case]:
    """Yield all programs in the order of the tables."""
    for table in sorted((HERE / "faulty").glob("*.yaml")):
        suite = yaml.safe_load(table.read_text(encoding="utf-8"))
        for entry in suite["cases"]:
            edits = tuple((edit["old"], edit["new"]) for edit in entry.pop("edits"))
            source = f"{suite['source']}{entry.pop('where', '')}"
            yield Case(suite=table.stem, source=source, edits=edits,
                       expect=tuple(entry.pop("expect")), **entry)


def twins() -> list[Member]:
    """Return the fixed twins as healthy members of a benchmark."""
    return [Member(f"fixed-{path.stem}", path) for path in sorted(FIXED.glob("[!_]*.py"))]
