"""What an audit tells while it runs, so that nothing is lost when it ends early. No torch in here.

A worker sends it line by line (`Sender`); who started it keeps it (`Record`) and can judge what
is there when the worker is gone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from auditor.errors import AuditorError, TargetError
from auditor.observation import Json, Observation, encode
from auditor.progress import Progress
from auditor.report import Report

Observations: TypeAlias = Mapping[int, Mapping[str, Observation]]
Keep: TypeAlias = Callable[[int, Observation, Iterable[str]], None]


class Journal:
    """Hears what is measured as it is measured; this one forgets it.

    Attributes:
        known: Seed -> probe -> what an earlier run measured; it is not measured again.
    """

    known: Observations = {}

    def tell(self, progress: Progress) -> None:
        """Hear what is going on now."""

    def began(self, seed: int, scene: Report) -> None:
        """Hear what is known before anything is measured: a report without observations."""

    def observed(self, seed: int, observation: Observation) -> None:
        """Hear what one probe has measured."""

    def judged(self, report: Report) -> None:
        """Hear the report before its fixes are tried."""


class Sender(Journal):
    """Writes what it hears as lines of JSON, each with the files that were read before it.

    Args:
        write: Gets one line with its end.
        known: What need not be measured.
        opened: Returns the files that were read so far.
    """

    def __init__(
        self, write: Callable[[bytes], None], known: Observations,
        opened: Callable[[], set[str]],
    ) -> None:
        self.known = known
        self._write = write
        self._opened = opened
        self._told: set[str] = set()

    def tell(self, progress: Progress) -> None:
        self._send("tell", doing=progress.doing, says=progress.says, done=progress.done,
                   total=progress.total, seconds_left=encode(progress.seconds_left))

    def began(self, seed: int, scene: Report) -> None:
        self._send("began", seed=seed, report=scene.to_json())

    def observed(self, seed: int, observation: Observation) -> None:
        self._send("observed", seed=seed, observation=observation.to_json())

    def judged(self, report: Report) -> None:
        self._send("judged", report=report.to_json())

    def finished(self, report: Report, *, elsewhere: bool) -> None:
        """Send the whole report; `elsewhere`: files alone do not decide what it says."""
        self._send("finished", report=report.to_json(), elsewhere=elsewhere)

    def failed(self, problem: BaseException, trace: str) -> None:
        """Send why there is no report."""
        told = problem if isinstance(problem, AuditorError) else AuditorError(
            f"a fault of the auditor itself: {type(problem).__name__}: {problem}",
            hint="Run again with --debug for the traceback, and please report it.")
        code = problem.exit_code if isinstance(problem, AuditorError) else 4
        self._send("failed", message=told.message, hint=told.hint, where=told.where,
                   exit_code=code, trace=trace)

    def interrupted(self) -> None:
        """Send that the user stopped the audit and there is no report."""
        self._send("interrupted")

    def _send(self, kind: str, **content: Json) -> None:
        new = self._opened() - self._told
        self._told |= new
        paths: list[Json] = [*sorted(new)]
        line = json.dumps({"kind": kind, **content, "opened": paths}, allow_nan=False)
        self._write(line.encode() + b"\n")


class Record(Journal):
    """Keeps what it hears.

    Args:
        known: What need not be measured.
        show: Is told what is going on.
        keep: Is given every observation with its seed and the files that were read so far.

    Attributes:
        progress: The last one; None before the first.
        scenes: Seed -> the report without observations.
        observations: Seed -> probe -> what it measured.
        before_trials: The judged report; None before there is one.
        report: The whole one; None before there is one.
        problem: Why there will be no report.
        stopped: The user has stopped the audit, and no report will come.
        opened: Files that were read.
        elsewhere: Files alone do not decide what the report says.
    """

    def __init__(
        self, known: Observations | None = None,
        show: Callable[[Progress], None] = lambda progress: None,
        keep: Keep = lambda seed, observation, opened: None,
    ) -> None:
        self.known = known or {}
        self._show, self._keep = show, keep
        self.progress: Progress | None = None
        self.scenes: dict[int, Report] = {}
        self.observations = {seed: dict(kept) for seed, kept in self.known.items()}
        self.before_trials: Report | None = None
        self.report: Report | None = None
        self.problem: AuditorError | None = None
        self.stopped = False
        self.opened: set[str] = set()
        self.elsewhere = False

    def tell(self, progress: Progress) -> None:
        self.progress = progress
        self._show(progress)

    def began(self, seed: int, scene: Report) -> None:
        self.scenes[seed] = scene

    def observed(self, seed: int, observation: Observation) -> None:
        self.observations.setdefault(seed, {})[observation.probe] = observation
        self._keep(seed, observation, self.opened)

    def judged(self, report: Report) -> None:
        self.before_trials = report

    @property
    def is_over(self) -> bool:
        """Nothing more will be told."""
        return self.report is not None or self.problem is not None or self.stopped

    def hear(self, line: bytes) -> None:
        """Keep what a `Sender` wrote.

        Raises:
            ValueError, KeyError, TypeError, ObservationError: It is no such line.
        """
        told: dict[str, Any] = json.loads(line)
        self.opened.update(told.pop("opened"))
        kind = told.pop("kind")
        if kind == "tell":
            self.tell(Progress(**{**told, "seconds_left": float(told["seconds_left"])}))
        elif kind == "observed":
            self.observed(told["seed"], Observation.from_json(told["observation"]))
        elif kind == "began":
            self.began(told["seed"], Report.from_json(told["report"]))
        elif kind == "judged":
            self.judged(Report.from_json(told["report"]))
        elif kind == "finished":
            self.report, self.elsewhere = Report.from_json(told["report"]), told["elsewhere"]
        elif kind == "failed":
            self.problem = _problem(**told)
        elif kind == "interrupted":
            self.stopped = True
        else:
            raise ValueError(f"a worker does not tell {kind!r}")


class WorkerTraceback(Exception):  # noqa: N818 - it is shown, never caught
    """The traceback of an error in the worker, as text."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def _problem(message: str, hint: str, where: str, exit_code: int, trace: str) -> AuditorError:
    kind = TargetError if exit_code == TargetError.exit_code else AuditorError
    problem = kind(message, hint=hint, where=where)
    problem.exit_code = exit_code
    problem.__cause__ = WorkerTraceback(trace)
    return problem
