"""The contract of a probe: an experiment that measures and holds no opinion."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol

from auditor.observation import (
    Json,
    Measurement,
    Observation,
    Place,
    Quantity,
    Scalar,
    Series,
)

if TYPE_CHECKING:
    from auditor.store import BatchStore
    from auditor.target import Target


@dataclass(frozen=True, slots=True)
class Cost:
    """What a probe asks for, so that the session can plan.

    Attributes:
        steps: Forward and backward passes that it takes when there is time.
        minimum_steps: Below this many it cannot say anything.
        trains: It takes optimizer steps (left out of the quick profile when `long`).
        long: It is a training trial rather than a look.
        usual: Steps that it takes on most targets, where these are far fewer; probes before it
            leave it so much time.
        enough: Steps with which it answers its question on most targets; it gets these before
            those after it have their part.
    """

    steps: int
    minimum_steps: int = 0
    trains: bool = False
    long: bool = False
    usual: int | None = None
    enough: int = 0


class NotApplicable(Exception):  # noqa: N818 - it is an outcome, not an error
    """Raised by a probe that has nothing to measure on this target; the text is the reason."""


class OutOfTime(Exception):  # noqa: N818 - it is an outcome, not an error
    """Raised by a probe that cannot reach its minimum within its time; the text says so."""


class Notebook:
    """Collects what one probe measures; the session turns it into an `Observation`.

    A name that the probe does not declare in `yields` is a mistake of its author and raises.
    """

    def __init__(self, probe: str, yields: Sequence[Quantity]) -> None:
        self.probe = probe
        self._declared = {quantity.name: quantity for quantity in yields}
        self._measurements: list[Measurement] = []
        self._series: list[Series] = []
        self._absent: dict[str, str] = {}
        self._missed: dict[str, str] = {}
        self._places: dict[str, Place] = {}
        self._notes: list[str] = []
        self._tables: dict[str, Json] = {}
        self.steps = 0

    def measure(
        self,
        name: str,
        value: Scalar,
        subject: str = "",
        *,
        spread: float | None = None,
        samples: int | None = None,
    ) -> None:
        """Note one value of a declared quantity."""
        quantity = self._declare(name)
        assert bool(subject) == (quantity.scope != "run"), f"{name} is per {quantity.scope}"
        self._measurements.append(Measurement(name, value, subject, spread, samples))

    def absent(self, reason: str, *names: str) -> None:
        """Say that quantities do not exist for this target (the rules are not applicable)."""
        self._absent.update({self._declare(name).name: reason for name in names})

    def missed(self, reason: str, *names: str) -> None:
        """Say that quantities should have been measured and could not be (not measured)."""
        for name in names:
            self._absent.pop(self._declare(name).name, None)
            self._missed[name] = reason

    def series(self, series: Series) -> None:
        """Keep a curve for the reports."""
        self._series.append(series)

    def place(self, subject: str, place: Place) -> None:
        """Keep where a subject that is no module stands in the user's file."""
        self._places[subject] = place

    def note(self, sentence: str) -> None:
        """Say something to the reader of the report."""
        if sentence not in self._notes:
            self._notes.append(sentence)

    def table(self, name: str, value: Json) -> None:
        """Keep further facts for the reports."""
        self._tables[name] = value

    def observation(
        self, *, status: str = "measured", reason: str = "", seconds: float = 0.0,
        traceback: str = "",
    ) -> Observation:
        """Return what was noted so far."""
        return Observation(
            probe=self.probe,
            status=status,  # type: ignore[arg-type]
            reason=reason,
            measurements=tuple(self._measurements),
            series=tuple(self._series),
            absent=dict(self._absent),
            missed=dict(self._missed),
            places=dict(self._places),
            notes=tuple(self._notes),
            tables=dict(self._tables),
            seconds=seconds,
            steps=self.steps,
            traceback=traceback,
        )

    def _declare(self, name: str) -> Quantity:
        if name not in self._declared:
            raise KeyError(f"probe {self.probe} does not declare the quantity {name}")
        return self._declared[name]


@dataclass(slots=True)
class ProbeContext:
    """What a probe works with.

    Attributes:
        target: The user's model, loss and optimizer as factories.
        batches: Batches fetched once and shared by all probes.
        note: Where the probe writes what it measures.
        seed: Of the audit; derive further seeds from it by addition.
        deadline: `time.monotonic()` at which the probe has to be done.
        earlier: Observations of the probes that ran before, by probe name.
        step_seconds: Measured wall time of one plain training step; 0 while unknown.
    """

    target: Target
    batches: BatchStore
    note: Notebook
    seed: int = 0
    deadline: float = float("inf")
    earlier: Mapping[str, Observation] = field(default_factory=dict)
    step_seconds: float = 0.0

    def seconds_left(self) -> float:
        """Return how long this probe may go on."""
        return self.deadline - time.monotonic()

    def affordable_steps(self, wanted: int, *, minimum: int = 1) -> int:
        """Return how many training steps fit into the time left, at most `wanted`.

        Raises:
            OutOfTime: Not even `minimum` steps fit.
        """
        if self.step_seconds <= 0 or math.isinf(self.deadline):
            return wanted
        fitting = int(self.seconds_left() / self.step_seconds)
        if fitting < minimum:
            raise OutOfTime(
                f"{minimum} training steps need about {minimum * self.step_seconds:.0f} s, "
                f"{max(self.seconds_left(), 0):.0f} s were left"
            )
        return min(wanted, fitting)

    def observed(self, name: str, subject: str = "") -> Scalar | None:
        """Return a value that an earlier probe measured, or None."""
        for observation in self.earlier.values():
            found = observation.value(name, subject)
            if found is not None:
                return found
        return None

    def number(self, name: str) -> float:
        """Return a number that an earlier probe measured, or NaN, with which no limit is passed."""
        found = self.observed(name)
        is_number = isinstance(found, (int, float)) and not isinstance(found, bool)
        return float(found) if is_number else math.nan  # type: ignore[arg-type]


class Probe(Protocol):
    """An experiment.

    Attributes:
        name: Of the probe, as `audit probes` lists it.
        says: What it does, in one line.
        cost: What it asks for.
        yields: The quantities that it can measure.
        after: Probes whose observations it reads, if they run at all.
    """

    name: ClassVar[str]
    says: ClassVar[str]
    cost: ClassVar[Cost]
    yields: ClassVar[tuple[Quantity, ...]]
    after: ClassVar[tuple[str, ...]]

    def run(self, context: ProbeContext) -> None:
        """Measure, and write into `context.note`.

        Raises:
            NotApplicable: Nothing to measure on this target.
            OutOfTime: Too little time.
        """
        ...
