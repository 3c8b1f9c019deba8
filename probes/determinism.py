"""Whether the model gives the same output twice in eval mode, and what draws if it does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from auditor import batches, functions
from auditor.isolation import seeded
from auditor.observation import Quantity
from auditor.probe import Cost, NotApplicable, ProbeContext
from auditor.recorder import Call, watching
from auditor.sourcemap import place_of_caller
from auditor.trial import Bench

from ._outputs import Outputs, difference, evaluate


class _Draws:
    """Listens for random calls inside the model, and notes whether there are any outside."""

    def __init__(self, keep: Callable[[str, Any], None]) -> None:
        self.dropouts: list[str] = []
        self.samplers: list[str] = []
        self.outside = False
        self._keep = keep

    def on_module(self, call: Call) -> None:
        """Modules draw by functions."""

    def on_function(self, call: Call) -> None:
        """Note the layer of one random call."""
        if call.module is None:
            self.outside |= call.function in functions.SAMPLERS
            return
        if _is_active_dropout(call):
            found = self.dropouts
        elif call.function in functions.SAMPLERS:
            found = self.samplers
        else:
            return
        if call.subject not in found:
            found.append(call.subject)
            self._keep(call.subject, place_of_caller())


class Determinism:
    """Runs one batch in eval mode, twice with the same random numbers and once with others."""

    name: ClassVar[str] = "determinism"
    says: ClassVar[str] = "runs one batch several times in eval mode and compares the outputs"
    cost: ClassVar[Cost] = Cost(steps=3, minimum_steps=3)
    after: ClassVar[tuple[str, ...]] = ()
    yields: ClassVar[tuple[Quantity, ...]] = (
        Quantity("random_difference", "", "rms difference of two outputs in eval mode, relative "
                 "to the spread over samples", "layer"),
        Quantity("repeat_difference", "", "the same difference with the same random numbers"),
        Quantity("drops_out_in_eval", "", "the difference comes from dropout rather than from "
                 "drawing by design", "layer", "flag"),
    )

    def run(self, context: ProbeContext) -> None:
        """Measure, and write into the notebook."""
        stored = context.batches.train(1)
        if not stored:
            raise NotApplicable("the training loader gives no batch")
        batch, seed, note = stored[0], context.seed, context.note
        places: dict[str, Any] = {}
        draws = _Draws(lambda subject, place: places.update({subject: place}))
        count = batches.length(batch)
        with seeded(seed):
            bench = Bench(context.target)
            with watching(bench.model, draws, everything=True):
                one = evaluate(bench, batch, seed=seed, samples=count)
            again = evaluate(bench, batch, seed=seed)
            other = evaluate(bench, batch, seed=seed + 1, samples=count)
        note.steps += 3
        if not one.model:
            raise NotApplicable("the training step does not call the model")
        if draws.outside and not (draws.dropouts or draws.samplers):
            raise NotApplicable("the training step draws the model's inputs at random")
        layer = next(iter(draws.dropouts or draws.samplers), "") or _first_other(one, other)
        note.measure("repeat_difference", difference(one.model, again.model))
        note.measure("random_difference", difference(one.model, other.model), layer)
        note.measure("drops_out_in_eval", bool(draws.dropouts), layer)
        if places.get(layer) is not None:
            note.place(layer, places[layer])


def _first_other(one: Outputs, other: Outputs) -> str:
    """Return the first layer whose output differs; the last one when none does."""
    last = "model"
    for path, rows in one.layers.items():
        last = path
        theirs = other.layers.get(path)
        if theirs is not None and theirs.shape == rows.shape and bool((theirs != rows).any()):
            return path
    return last


def _is_active_dropout(call: Call) -> bool:
    if call.function in functions.DROPOUTS:
        given = {**dict(zip(("input", "p", "training"), call.args, strict=False)), **call.kwargs}
        switched = given.get("training", given.get("train", True))
        return bool(switched) and float(given.get("p", 0.5)) > 0
    name = getattr(call.function, "__name__", "")
    if name == "scaled_dot_product_attention":
        given_p = call.kwargs.get("dropout_p", call.args[4] if len(call.args) > 4 else 0.0)
        return float(given_p) > 0
    return False
