"""What `audit fix` does: the fixes that helped, as one diff against the user's file."""

from __future__ import annotations

import difflib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from auditor.errors import TargetError, UsageError
from auditor.output import write_file
from auditor.patching import Names, patched
from auditor.progress import ProgressLine
from auditor.request import Request, request
from auditor.sourceedit import Edit
from auditor.sourcetree import Unsure

if TYPE_CHECKING:
    from auditor.candidate import Candidate
    from auditor.report import Report
    from auditor.target import Target

NOTHING_TO_WRITE = 1


@dataclass
class Proposal:
    """What is to be written.

    Attributes:
        text: The file as it is.
        changed: The file with all fixes that could be made.
        made: One line for each fix in it.
        refused: Why others are not.
    """

    text: str
    changed: str
    made: list[str]
    refused: list[str]


def fix_command(target: str, options: Mapping[str, Any]) -> int:
    """Audit, show the diff, write it if wanted, and audit again; return the exit code.

    Raises:
        AuditorError: Usage, configuration or target are wrong.
    """
    path = Path(target.partition(":")[0])
    if path.suffix != ".py" or not path.is_file():
        raise UsageError(f"{target} is no Python file.", hint="Write `audit fix model.py`.")
    asked = request(target, options)
    report, proposal = _proposal(asked, path, quiet=options["quiet"])
    for line in proposal.refused:
        click.echo(f"not written: {line}", err=True)
    if proposal.changed == proposal.text:
        click.echo(_nothing(report), err=True)
        return NOTHING_TO_WRITE if report.count("error") + report.count("warning") else 0
    for line in proposal.made:
        click.echo(f"fix: {line}", err=True)
    click.echo(diff(path, proposal.text, proposal.changed), nl=False)
    if not options["apply"]:
        click.echo("Nothing was written; --apply writes it.", err=True)
        return 0
    if not options["yes"] and not click.confirm(f"Write {path}?", err=True):
        return 0
    _write(path, proposal)
    return _audit_again(asked, report, quiet=options["quiet"])


def diff(path: Path, old: str, new: str) -> str:
    """Return a unified diff that `patch -p0` applies."""
    lines = difflib.unified_diff(_lines(old), _lines(new), str(path), str(path))
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
        for line in lines)


def propose(
    text: str, chosen: Mapping[str, Candidate], target: Target, path: Path,
) -> Proposal:
    """Return the file with every fix that helped and can be written mechanically.

    Args:
        text: Of the file.
        chosen: The best fix of each finding, by rule.
        target: That was audited.
        path: Of the file.
    """
    names = Names(target.names, target.name)
    proposal = Proposal(text, text, [], [])
    edits: list[Edit] = []
    for rule, one in chosen.items():
        if not one.helps or one.finding.severity == "info":
            continue
        summary = one.mended.says or one.finding.fixes[one.position].summary
        try:
            own = list(_in_file(one.mended.edits, path))
            proposal.changed = patched(text, [*edits, *own], names)
            edits += own
            proposal.made.append(f"{rule}: {summary}")
        except Unsure as problem:
            proposal.refused.append(f"{rule}: {summary} ({problem})")
    return proposal


def _in_file(edits: Sequence[Edit], path: Path) -> Iterator[Edit]:
    if not edits:
        raise Unsure("it is not mechanical")
    for edit in edits:
        if edit.place is not None and Path(edit.place.file).resolve() != path.resolve():
            raise Unsure(f"it belongs into {edit.place.file}")
        yield edit


def _proposal(asked: Request, path: Path, *, quiet: bool) -> tuple[Report, Proposal]:
    text = _read(path)
    found: list[tuple[Target, Mapping[str, Candidate]]] = []
    with ProgressLine(quiet=quiet) as progress:
        report = asked.measure(progress, lambda target, chosen: found.append((target, chosen)))
    if not found:
        return report, Proposal(text, text, [], [])
    target, chosen = found[-1]
    return report, propose(text, chosen, target, path)


def _audit_again(asked: Request, before: Report, *, quiet: bool) -> int:
    """Audit the written file, and tell what has become of the findings."""
    with ProgressLine(quiet=quiet) as progress:
        after = replace(asked, trials=False).measure(progress)
    old, new = ({f.rule for f in report.findings if f.severity != "info" and f.is_open}
                for report in (before, after))
    for label, rules in (("gone", old - new), ("still there", old & new), ("new", new - old)):
        if rules:
            click.echo(f"{label}: {', '.join(sorted(rules))}", err=True)
    return int(after.reaches("error"))


def _write(path: Path, proposal: Proposal) -> None:
    if _read(path) != proposal.text:
        raise TargetError(f"{path} has changed since it was audited; nothing was written.")
    real = path.resolve()
    mode = real.stat().st_mode
    write_file(real, proposal.changed)
    real.chmod(mode)


def _read(path: Path) -> str:
    """Return the text with its own line ends: what is not changed stays as it is."""
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as problem:
        raise TargetError(f"{path} cannot be read as UTF-8: {problem}") from problem


def _nothing(report: Report) -> str:
    if report.count("error") + report.count("warning"):
        return "No fix that helps can be written by a program; `audit run` shows what to do."
    return "There is nothing to mend."


def _lines(text: str) -> list[str]:
    return list(io.StringIO(text, newline=""))
