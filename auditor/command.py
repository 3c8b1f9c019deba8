"""What `audit run` and `audit diagnose` do, from options to exit code."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditor import registry
from auditor.baseline import Known, baseline_text, read_baseline, with_baseline
from auditor.ci import append_summary, in_github_actions, no_commands
from auditor.conduct import measured
from auditor.document import read_limited
from auditor.errors import ObservationError, UsageError
from auditor.gate import PASSED, exit_code, said
from auditor.jsonfile import read_json
from auditor.judge import judge
from auditor.opening import open_report
from auditor.output import (
    TERMINAL,
    check_place,
    let_go_of_stdout,
    plan_outputs,
    write_file,
    write_report,
    write_screen,
)
from auditor.packs import check_against
from auditor.report import Renderer, Report
from auditor.request import Request, request, request_again
from auditor.rule import Rule

# A model of thousands of layers makes a report of some ten megabytes.
_LARGEST_REPORT = 256 << 20
# Of standard output, where errors of the gate are told too.
_ANNOTATIONS, _JSON = "github", "json"


def run_command(target: str | None, options: Mapping[str, Any]) -> int:
    """Measure, judge, write, and return the exit code.

    Raises:
        AuditorError: Usage, configuration, pack or target are wrong.
    """
    outputs = _outputs(options)
    asked = request(target, options)
    known = known_findings(asked, options)
    found = measured(asked, None if options["in_process"] else options,
                     quiet=options["quiet"], resume=options["resume"])
    code = _deliver(found.report, known, outputs, asked, options)
    if found.problem is not None:
        raise found.problem
    return code


def diagnose_command(path: Path, options: Mapping[str, Any]) -> int:
    """Judge a saved run again, write, and return the exit code.

    Raises:
        AuditorError: Usage, configuration or pack are wrong, or the file is no saved run.
    """
    outputs = _outputs(options)
    asked = request_again(path, options)
    known = known_findings(asked, options)
    report = read_report(path)
    check_against(_known_to(report, asked), report.quantities)
    return _deliver(judge(report, asked.rules, asked.limits), known, outputs, asked, options)


def _known_to(report: Report, asked: Request) -> list[Rule]:
    """Return the rules to check: of installed packs those only that are not newer than the run.

    What a newer rule asks for was not measured then, and that is what is said of it.
    """
    given = tuple(f"{pack}:" for pack in asked.packs)
    return [rule for rule in asked.rules
            if rule.origin.startswith(given)
            or report.quantities.keys() >= {*rule.requires, *rule.mentions}]


def read_report(path: Path) -> Report:
    """Return the report or saved run of a file.

    Raises:
        ObservationError: It cannot be read, is too large, or is no report of this schema.
    """
    try:
        data = read_limited(path, _LARGEST_REPORT)
    except OSError as problem:
        raise ObservationError(f"{path} cannot be read: {problem.strerror}.") from problem
    found = read_json(data, str(path), ObservationError, limit=_LARGEST_REPORT)
    try:
        return Report.from_json(found)
    except ObservationError as problem:
        problem.where = str(path)
        raise


@dataclass(frozen=True)
class _Outputs:
    """Where the report goes."""

    files: list[tuple[Path, Renderer]]
    screen: Renderer
    renderers: Mapping[str, Renderer]


def _outputs(options: Mapping[str, Any]) -> _Outputs:
    renderers = registry.renderers().items
    if options.get("write_baseline"):
        check_place(Path(options["write_baseline"]))
    files, screen = plan_outputs(options["outputs"], options["format_name"], renderers)
    if options.get("save"):
        saved, _ = plan_outputs([options["save"]], _JSON, renderers)
        files += saved
    return _Outputs(files, screen, renderers)


def known_findings(asked: Request, options: Mapping[str, Any]) -> tuple[Known, ...]:
    """Return the known findings; a baseline that is about to be written need not be there yet.

    Raises:
        ConfigError: The baseline cannot be read.
    """
    path = asked.effective.baseline
    if path is None or options.get("write_baseline") and not path.exists():
        return ()
    return read_baseline(path)


def _deliver(
    report: Report, known: tuple[Known, ...], outputs: _Outputs, asked: Request,
    options: Mapping[str, Any],
) -> int:
    settings = asked.effective
    if known:
        report = with_baseline(report, known, str(settings.baseline))
    problems = _written(report, outputs)
    if problems or not options["quiet"]:
        # What could not be written is shown at least.
        problems += _shown(report, outputs, options)
    if in_github_actions():
        append_summary(report, outputs.renderers)
    if options["open_page"]:
        print(open_report(report, outputs.files, outputs.renderers), file=sys.stderr)
    failure = said(report, settings)
    for sentence in (failure, *(f"error: {problem}" for problem in problems)):
        if sentence:
            print(sentence, file=sys.stderr)
    if options.get("write_baseline"):
        return _write_baseline(report, known, Path(options["write_baseline"]))
    code = exit_code(report, settings)
    return UsageError.exit_code if problems and code == PASSED else code


def _written(report: Report, outputs: _Outputs) -> list[UsageError]:
    """Write all files that can be written, and return why others cannot."""
    problems = []
    for path, renderer in outputs.files:
        try:
            write_report(path, renderer, report)
        except UsageError as problem:
            problems.append(problem)
    return problems


def _shown(
    report: Report, outputs: _Outputs, options: Mapping[str, Any],
) -> list[UsageError]:
    """Print the report, and return why it cannot be; a reader that has left is no problem."""
    try:
        _show(report, outputs, options)
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):
        # rich makes an end of the program of a broken pipe.
        let_go_of_stdout()
    except OSError as problem:
        let_go_of_stdout()
        return [UsageError(f"The report cannot be printed: {problem.strerror}.")]
    return []


def _show(report: Report, outputs: _Outputs, options: Mapping[str, Any]) -> None:
    """Print the report; in GitHub Actions with its annotations, unless a format was asked for."""
    verbose = options["verbose"]
    if outputs.screen.name != TERMINAL or not in_github_actions():
        write_screen(report, outputs.screen, verbose=verbose)
        return
    with no_commands():
        write_screen(report, outputs.screen, verbose=verbose)
    if _ANNOTATIONS in outputs.renderers:
        write_screen(report, outputs.renderers[_ANNOTATIONS], verbose=verbose)


def _write_baseline(report: Report, known: tuple[Known, ...], path: Path) -> int:
    """Write the findings of now as the known ones; the next run fails at others only."""
    write_file(path, baseline_text(report, known))
    print(f"{path} holds the findings of this run; `--baseline {path}` lets them pass.",
          file=sys.stderr)
    return PASSED
