"""The command line: arguments in, report out, exit code. Torch is imported only to measure."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from auditor.errors import AuditorError
from auditor.visible import defused, visible, words_of

# Exit codes; an error brings its own (`AuditorError.exit_code`).
FAULT_OF_OURS, INTERRUPTED = 4, 130
# Characters of an error's message; a pack may have ten mistakes, each with its line.
_LONGEST = 4000

_Command = TypeVar("_Command", bound=Callable[..., Any])
_FILE = click.Path(dir_okay=False)
# What the generators of python, numpy and torch all take.
_SEED = click.IntRange(0, 2**32 - 1)


class _Commands(click.Group):
    """Turns every error into one clear message and the exit code of its kind."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command and end with its exit code."""
        try:
            code = super().main(*args, **{**kwargs, "standalone_mode": False})
        except click.ClickException as problem:
            problem.show()
            code = problem.exit_code
        except (click.Abort, KeyboardInterrupt):
            click.echo("interrupted", err=True)
            code = INTERRUPTED
        except AuditorError as problem:
            click.echo(f"error: {_shown(problem)}", err=True)
            code = problem.exit_code
        except Exception as problem:
            click.echo(
                f"error: a fault of the auditor itself: {type(problem).__name__}: "
                f"{_shown(problem)}\n"
                "Run again with --debug for the traceback, and please report it.", err=True,
            )
            code = FAULT_OF_OURS
        sys.exit(code or 0)

    def invoke(self, ctx: click.Context) -> Any:
        """Show the traceback of an error first, if it was asked for."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception:
            if ctx.meta.get("debug"):
                import traceback

                traceback.print_exc()
            raise


def _shown(problem: Exception) -> str:
    """Return a message as a terminal can show it; the user's strings in it may hold anything."""
    return defused(visible(words_of(problem, _LONGEST), keep="\n"))


def _remember_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    ctx.meta["debug"] = value


_debug = click.option("--debug", is_flag=True, expose_value=False, callback=_remember_debug,
                      help="Show tracebacks.")
_packs = click.option("--rules", "packs", multiple=True, type=_FILE, metavar="FILE",
                      help="A further rule pack. Repeatable.")
_JUDGING = (
    click.option("-o", "--output", "outputs", multiple=True, type=_FILE, metavar="FILE",
                 help="Write the report to FILE; its suffix chooses the format. Repeatable."),
    click.option("--format", "format_name", metavar="NAME",
                 help="Format on stdout, or of the last --output."),
    click.option("--open", "open_page", is_flag=True,
                 help="Open the page in the browser; without one among -o, a temporary one."),
    click.option("--select", multiple=True, metavar="RULE",
                 help="Only this rule or category. Repeatable."),
    click.option("--ignore", multiple=True, metavar="RULE",
                 help="Not this rule or category. Repeatable."),
    click.option("--fail-on", type=click.Choice(["error", "warning", "never"]),
                 help="Exit with 1 at findings of this severity and above. [default: error]"),
    click.option("--strict/--no-strict", default=None,
                 help="Also exit with 1 if something that had to be measured was not."),
    click.option("--baseline", type=_FILE, metavar="FILE",
                 help="Findings in FILE are known: shown as such, and no failure."),
    click.option("--write-baseline", type=_FILE, metavar="FILE",
                 help="Write the findings of this run to FILE as known, and exit with 0."),
    click.option("--threshold", "thresholds", multiple=True, metavar="RULE.NAME=VALUE",
                 help="Another limit for a rule. Repeatable."),
    _packs,
    click.option("-q", "--quiet", is_flag=True, help="No progress, and no report on stdout."),
    click.option("-v", "--verbose", is_flag=True, help="All evidence, consequences and rules."),
    _debug,
)
_NAMES = tuple(
    click.option(f"--{role.replace('_', '-')}", role, metavar="NAME", help=f"Name of the {says}.")
    for role, says in (
        ("model", "model in the file"), ("train_loader", "training loader"),
        ("val_loader", "validation loader"), ("loss", "loss"), ("step", "training step"),
        ("optimizer", "optimizer"), ("scheduler", "scheduler"),
    )
)


def _with(*options: Callable[[_Command], _Command]) -> Callable[[_Command], _Command]:
    def decorate(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="auditor", prog_name="audit")
def main() -> None:
    """Find out, before a training run, why it will fail, and what to do about it."""


@main.command()
@click.argument("target", required=False)
@_with(
    click.option("--profile", type=click.Choice(["quick", "standard", "thorough"]),
                 help="quick: no training trials; thorough: three seeds. [default: standard]"),
    click.option("--budget", metavar="TIME", help="Wall time for all probes. [default: 60s]"),
    click.option("--device", metavar="DEVICE", help="Where trials run. [default: cpu]"),
    click.option("--seed", type=_SEED, help="Of every trial. [default: 0]"),
    click.option("--save", type=_FILE, metavar="FILE",
                 help="Keep the observations, to judge them again with `audit diagnose`."),
    click.option("--no-cache", is_flag=True,
                 help="Measure, even if nothing has changed since an earlier run."),
    click.option("--no-trials", is_flag=True,
                 help="Do not try the fixes of what was found."),
    click.option("--workers", type=click.IntRange(1), metavar="N",
                 help="Most processes that try fixes at a time. [default: as many as cores]"),
    click.option("--resume", is_flag=True,
                 help="Go on with what an audit had measured that ended early."),
    click.option("--in-process", is_flag=True, envvar="AUDITOR_IN_PROCESS",
                 help="Run the target in this process, for debuggers; a crash loses the report."),
    *_JUDGING, *_NAMES,
)
def run(target: str | None, **options: Any) -> int:
    """Audit TARGET: model.py, model.py:NAME or package.module:NAME.

    Without TARGET, that of the configuration is audited.
    """
    from auditor.command import run_command

    return run_command(target, options)


@main.command()
@click.argument("observations", type=_FILE)
@_with(*_JUDGING)
def diagnose(observations: str, **options: Any) -> int:
    """Judge and draw a saved run again, without measuring."""
    from auditor.command import diagnose_command

    return diagnose_command(Path(observations), options)


@main.command()
@click.argument("target")
@_with(
    click.option("--apply", is_flag=True, help="Write the changes, after asking."),
    click.option("--yes", is_flag=True, help="With --apply: do not ask."),
    click.option("--budget", metavar="TIME", help="Wall time for probes and trials."),
    click.option("--device", metavar="DEVICE", help="Where trials run. [default: cpu]"),
    click.option("--workers", type=click.IntRange(1), metavar="N",
                 help="Most processes that try fixes at a time. [default: as many as cores]"),
    click.option("--seed", type=_SEED, help="Of every trial. [default: 0]"),
    click.option("--select", multiple=True, metavar="RULE",
                 help="Only this rule or category. Repeatable."),
    click.option("--ignore", multiple=True, metavar="RULE",
                 help="Not this rule or category. Repeatable."),
    _packs, click.option("-q", "--quiet", is_flag=True, help="No progress."), _debug, *_NAMES,
)
def fix(target: str, **options: Any) -> int:
    """Show the fixes that helped in trials as a diff against the file TARGET."""
    from auditor.fixcommand import fix_command

    return fix_command(target, options)


@main.command()
@click.argument("old", type=_FILE)
@click.argument("new", type=_FILE)
@_with(
    *_JUDGING[:2],
    click.option("--fail-on", type=click.Choice(["error", "warning", "info", "never"]),
                 default="warning", show_default=True,
                 help="Exit with 1 at new or worse findings of this severity and above."),
    click.option("-q", "--quiet", is_flag=True, help="Nothing on stdout."), _debug,
)
def compare(old: str, new: str, **options: Any) -> int:
    """Say what is new, gone or changed from report OLD to report NEW (JSON files)."""
    from auditor.comparecommand import compare_command

    return compare_command(Path(old), Path(new), options)


@main.command()
@click.argument("path", type=click.Path())
@_with(click.option("--force", is_flag=True, help="Overwrite files that are there."), _debug)
def init(path: str, force: bool) -> int:
    """Write a target file, a configuration and a workflow for the training script PATH.

    The script, or the folder PATH, is read and never run.
    """
    from auditor.initcommand import init_command

    written = init_command(Path(path), force=force)
    click.echo(written.text)
    return written.exit_code


@main.command()
@click.argument("folder", default=".", type=click.Path(exists=True))
@_with(
    click.option("--schema", is_flag=True, help="Print the JSON Schema for editors instead."),
    _debug,
)
def config(folder: str, schema: bool) -> None:
    """Print the settings in effect for FOLDER, and where each comes from."""
    from auditor.configcommand import config_text, schema_text

    place = Path(folder).absolute()
    click.echo(schema_text().rstrip() if schema else
               config_text(place if place.is_dir() else place.parent))


@main.command()
@click.argument("rule")
@_with(_packs, _debug)
def explain(rule: str, packs: tuple[str, ...]) -> None:
    """Say what RULE finds, how it is measured, when it may be wrong, and its limits."""
    from auditor.catalogue import explanation

    click.echo(explanation(rule, packs))


@main.command()
@_with(_packs, _debug)
def rules(packs: tuple[str, ...]) -> None:
    """List all rules with their severity and what they find."""
    from auditor.catalogue import rule_list

    click.echo(rule_list(packs))


@main.command()
@_with(_debug)
def probes() -> None:
    """List all probes, what they cost and what they measure."""
    from auditor.catalogue import probe_list

    click.echo(probe_list())
