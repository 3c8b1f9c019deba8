"""What the diagnosis has to know besides observations and rules: the model map and the limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from auditor.grades import Severity
from auditor.ignores import Ignore
from auditor.observation import Place, Quantity
from auditor.packfile import PlaceKind
from auditor.report import Layer


@dataclass(frozen=True, slots=True)
class Override:
    """A limit that the user has set.

    Attributes:
        value: In the threshold's unit.
        source: "configuration" or "command line".
    """

    value: float
    source: str


@dataclass(frozen=True, slots=True)
class Scene:
    """The surroundings of one diagnosis.

    Attributes:
        layers: The model map in call order.
        places: Where subjects stand: layer or parameter -> place.
        optimizer_place: Where the optimizer is made.
        loader_place: Where the training loader is made.
        loss_place: Where the loss is made.
        model_place: Where the model is made.
        optimizer: Class name of the user's optimizer.
        thresholds: Limits that the user has set: rule -> threshold -> limit.
        severities: Severities that the user has set: rule -> severity.
        ignores: Findings that the user has decided to live with.
        unmeasured: Why quantities have no value although no observation speaks of them (their
            probe was left out or is not installed): quantity -> reason.
        quantities: Declarations of what the probes measure, for units and words.
    """

    layers: tuple[Layer, ...] = ()
    places: Mapping[str, Place] = field(default_factory=dict)
    optimizer_place: Place | None = None
    loader_place: Place | None = None
    loss_place: Place | None = None
    model_place: Place | None = None
    optimizer: str = ""
    thresholds: Mapping[str, Mapping[str, Override]] = field(default_factory=dict)
    severities: Mapping[str, Severity] = field(default_factory=dict)
    ignores: tuple[Ignore, ...] = ()
    unmeasured: Mapping[str, str] = field(default_factory=dict)
    quantities: Mapping[str, Quantity] = field(default_factory=dict)
    _orders: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Number every layer, and every container by the first of its layers."""
        orders: dict[str, int] = {}
        for index, row in enumerate(self.layers):
            orders[row.path] = min(index, orders.get(row.path, index))
        for index, row in enumerate(self.layers):
            for path in lineage(row.path):
                orders.setdefault(path, index)
        object.__setattr__(self, "_orders", orders)

    def order(self, subject: str) -> int | None:
        """Return where a subject stands in call order; None if it is on no known layer.

        A parameter and a call in `forward` stand where their layer stands, a container where the
        first of its layers stands.
        """
        found = (self._orders[path] for path in lineage(subject) if path in self._orders)
        return next(found, None)

    def place(self, kind: PlaceKind, subject: str) -> Place | None:
        """Return the source line that a rule wants to show, if it is known."""
        if kind == "none":
            return None
        if kind != "layer":
            return {"optimizer": self.optimizer_place, "loader": self.loader_place,
                    "loss": self.loss_place, "model": self.model_place}[kind]
        rows = {row.path: row.place for row in self.layers}
        for path in lineage(subject):
            found = self.places.get(path) or rows.get(path)
            if found:
                return found
        return None


def lineage(subject: str) -> list[str]:
    """Return a subject and the modules that hold it, innermost first, without the root.

    `block.0.fc:relu#2` stands where `block.0.fc:relu` does and lies in the module `block.0.fc`,
    that in `block.0`, and so on; a parameter `fc1.weight` lies in `fc1`.
    """
    path = subject.partition(":")[0]
    parts = path.split(".") if path else []
    found = [".".join(parts[:end]) for end in range(len(parts), 0, -1)]
    unnumbered = subject.partition("#")[0]
    calls = [name for name in dict.fromkeys((subject, unnumbered)) if name not in found]
    return [*calls, *found]
