"""The loss before training against that of a model that knows nothing."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import torch

from auditor import batches, task
from auditor.functions import REGRESSION_LOSSES
from auditor.isolation import seeded
from auditor.losscall import LossCall
from auditor.lossvalue import LOGIT_BINARY_LOSSES, evaluate, names_other_samples
from auditor.observation import Quantity
from auditor.probe import Cost, NotApplicable, ProbeContext
from auditor.trial import Bench

from ._constant import constant_loss
from ._losses import SeenLoss, watch_losses
from ._margin import has_margin

_BATCHES = 2
_INITIALISATIONS = 4
# Further initialisations are only made while the ratio is farther from one than this factor.
_FAR = 1.5
_NEAR = math.log(_FAR)
_MARGIN = ("the true class's logit is lowered by a margin (margin softmax): where the loss starts "
           "is set by the margin and the scale")
# Of the targets' own spread: less is rounding, or a small part of them.
_OTHERS = 0.1
_COMPARED = (
    Quantity("initial_loss_ratio", "", "loss at initialisation over that of an uninformed "
             "model, mean over initialisations"),
    Quantity("smallest_initial_ratio", "", "the same for the initialisation nearest to one"),
    Quantity("initial_loss", "", "loss at initialisation, mean over initialisations"),
    Quantity("uninformed_loss", "", "loss of the best prediction that does not look at the "
             "input, or of equal odds where that is larger"),
    Quantity("predicts_numbers", "", "the loss is one of regression", kind="flag"),
    Quantity("compares_samples", "", "the classes are the other samples of the batch",
             kind="flag"),
    Quantity("target_mean", "", "mean of the targets"),
    Quantity("target_std", "", "standard deviation of the targets"),
)


class InitialLoss:
    """Makes the model several times and compares its loss with that of the best constant."""

    name: ClassVar[str] = "initial_loss"
    says: ClassVar[str] = "compares the loss before training with that of the best constant output"
    cost: ClassVar[Cost] = Cost(steps=_BATCHES * _INITIALISATIONS, minimum_steps=1)
    after: ClassVar[tuple[str, ...]] = ()
    yields: ClassVar[tuple[Quantity, ...]] = (
        *_COMPARED,
        Quantity("own_targets", "", "targets change with the initial weights: the model makes them",
                 kind="flag"),
    )

    def run(self, context: ProbeContext) -> None:
        """Measure, and write into the notebook."""
        stored = context.batches.train(_BATCHES)
        count = _INITIALISATIONS if context.target.reinitialises else 1
        note = context.note
        count = max(1, context.affordable_steps(count * len(stored)) // max(len(stored), 1))
        found: list[_Start] = []
        for number in range(count):
            found.append(_start(context, stored, context.seed + number))
            note.steps += len(stored)
            if _distance_from_one(found[-1].ratio) < _NEAR:
                break
        ratios = [start.ratio for start in found]
        if not all(map(math.isfinite, ratios)):
            raise NotApplicable("the loss is not finite at the start")
        own = _makes_its_targets(found, lambda: _start(context, stored, context.seed))
        note.measure("own_targets", own)
        if own:
            note.absent("the model makes its own targets", *(one.name for one in _COMPARED))
            return
        spread = statistics.pstdev(ratios)
        note.measure("initial_loss_ratio", statistics.fmean(ratios), spread=spread,
                     samples=len(ratios))
        note.measure("smallest_initial_ratio", min(ratios, key=_distance_from_one))
        note.measure("initial_loss", statistics.fmean(start.loss for start in found))
        note.measure("uninformed_loss", statistics.fmean(start.reference for start in found))
        # A loss of the user's own gets the wider limit of the two.
        calls = found[-1].calls
        note.measure("predicts_numbers", not calls or calls[0].name in REGRESSION_LOSSES)
        compares = bool(calls) and all(map(names_other_samples, calls))
        note.measure("compares_samples", compares)
        if compares:
            note.absent("the targets are other samples", "target_mean", "target_std")
        else:
            _note_target(calls, context)


class _Start(NamedTuple):
    """One initialisation.

    Attributes:
        loss: Mean over the batches.
        reference: What an uninformed model gets.
        calls: The call of each batch that decides the task; empty for a loss of the user's own.
    """

    loss: float
    reference: float
    calls: list[LossCall]

    @property
    def ratio(self) -> float:
        return self.loss / self.reference


def _start(context: ProbeContext, stored: Sequence[Any], seed: int) -> _Start:
    with seeded(seed):
        bench = Bench(context.target)
    # Noise that is drawn in a step is the same for all initialisations.
    with seeded(context.seed):
        seen = watch_losses(bench, stored).seen
        if seen:
            calls = _main_calls(seen, len(stored))
            losses = [value for call in calls if (value := task.value(call)) is not None]
            reference = _reference(calls)
            if losses and reference and statistics.fmean(losses) > _FAR * reference and (
                    has_margin(bench, stored, calls, context.seed)):
                raise NotApplicable(_MARGIN)
        else:
            calls, reference = [], constant_loss(bench, stored, seed)
            losses = [float(bench.loss(batches.private(batch)).loss.detach()) for batch in stored]
    if not losses or reference is None or not reference > 0:
        raise NotApplicable("for this loss it is not known what an uninformed model gets")
    return _Start(statistics.fmean(losses), reference, calls)


def _makes_its_targets(found: Sequence[_Start], again: Callable[[], _Start]) -> bool:
    """Tell whether other weights give other targets: those of a target network, or of a teacher.

    They move with the model, so that the best constant for those of the start says nothing.

    Args:
        found: From several initialisations.
        again: Makes the first of them once more: targets that differ then are noise.
    """
    first, *others = found
    return any(_differ(first, other) for other in others) and not _differ(first, again())


def _differ(one: _Start, two: _Start) -> bool:
    """Tell whether the targets of the same batches differ by a tenth of their own spread."""
    pairs = [(a.target, b.target) for a, b in zip(one.calls, two.calls, strict=False)
             if a.target is not None and b.target is not None]
    return any(
        a.is_floating_point() and a.shape == b.shape and a.numel() > 1
        and float((a - b).double().std()) > _OTHERS * float(a.double().std())
        for a, b in pairs)


def _distance_from_one(ratio: float) -> float:
    return abs(math.log(ratio)) if ratio > 0 else math.inf


def _main_calls(seen: Sequence[SeenLoss], count: int) -> list[LossCall]:
    """Return the call of each batch that decides the task."""
    by_batch = [[loss.call for loss in seen if loss.batch == index and loss.trained]
                for index in range(count)]
    described = [task.describe(calls) for calls in by_batch if calls]
    mains = [found.main for found in described if found is not None]
    if not mains or len({call.name for call in mains}) != 1:
        raise NotApplicable("no known loss function is called on the model's output")
    return mains


def _reference(calls: Sequence[LossCall]) -> float | None:
    """Return the uninformed loss; for classes at least that of equal odds.

    Nobody starts at the odds of rare classes, and starting at equal odds is no fault. Where the
    classes are the other samples of the batch, equal odds are all that can be known.
    """
    uninformed = task.uninformed_loss(calls)
    if calls[0].name == "cross_entropy" and all(map(names_other_samples, calls)):
        uninformed = 0.0
    if uninformed is None or calls[0].name in REGRESSION_LOSSES:
        return uninformed
    if calls[0].name in {"cross_entropy"} | LOGIT_BINARY_LOSSES:
        with torch.no_grad():
            even = [float(evaluate(call, torch.zeros_like(call.input))) for call in calls]
        return max(uninformed, statistics.fmean(even))
    return uninformed


def _note_target(calls: Sequence[LossCall], context: ProbeContext) -> None:
    targets = [call.target.double().flatten() for call in calls if call.target is not None]
    if targets:
        together = torch.cat(targets)
        context.note.measure("target_mean", float(together.mean()))
        context.note.measure("target_std", float(together.std(correction=0)))
