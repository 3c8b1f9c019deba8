"""A longer run at the user's settings, with evaluations on training and validation samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch

from auditor import batches
from auditor.errors import TargetError
from auditor.isolation import seeded
from auditor.observation import Quantity, Series
from auditor.probe import Cost, ProbeContext
from auditor.trial import Bench

from ._evaluate import Evaluation, evaluate, excess, gap, hardest
from ._fit_decay import note_decay
from ._fit_quantities import QUANTITIES, VALIDATION
from ._fit_run import EVALUATIONS, MOST_BATCHES, FitRun, epochs, some, trained
from ._gradient_shares import gradient_shares
from ._samples import drawing, training_samples, validation_samples
from ._simple import is_asked_for, neighbours_score

_STEPS = 400
# What the evaluations may cost, in training steps of three forward passes.
_LOOKING, _FORWARDS = 120, 3
_FEWEST_STEPS = 40
# More passes than this over a small set would show what nobody trains to; but a set of few batches
# is trained on for more of them, since nothing is learned in forty steps.
_EPOCHS = 20
_STEPS_OF_SMALL_SETS = 120
_EVALUATED = 512
# More where it is done once, or where a small rise has to be told from chance.
_EVALUATED_ONCE = 1024
# From this part of the uninformed loss on a difference between the modes is looked at again, after
# so many passes: running statistics with momentum 0.1 have then forgotten 97 %.
_NOTABLE, _CATCHING_UP = 0.03, 32
# Two scores of a few hundred samples differ by less by chance.
_WORSE_SCORE = 0.1
_SHARES = ("hard_gradient_share", "hardest_gradient_share")
_LIKELIHOODS = frozenset({
    "cross_entropy", "nll_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits",
})


class Fit:
    """Trains for some epochs and compares training with validation losses on the way."""

    name: ClassVar[str] = "fit"
    says: ClassVar[str] = "trains for a while and compares training with validation"
    cost: ClassVar[Cost] = Cost(
        steps=_STEPS + _LOOKING, minimum_steps=2 * _FEWEST_STEPS, trains=True, long=True,
        usual=_STEPS)
    yields: ClassVar[tuple[Quantity, ...]] = QUANTITIES
    after: ClassVar[tuple[str, ...]] = ("data",)

    def run(self, context: ProbeContext) -> None:
        """Measure the run.

        Raises:
            NotApplicable: The training step cannot run without gradients.
            OutOfTime: Too little time.
        """
        steps, looks = _planned(context)
        seen = some(context.batches.train(steps), _EVALUATED, looks // 3)
        with seeded(context.seed):
            bench = Bench(context.target)
            held = _held_out(context, bench, looks - looks // 3)
            run, epoch = trained(context, bench, steps, seen, held)
            if not math.isfinite(run.train[-1].loss):
                context.note.missed("the run diverged", *(q.name for q in QUANTITIES))
                return
            read = some(context.batches.train(MOST_BATCHES), _EVALUATED_ONCE, looks)
            end = evaluate(bench, read, context.seed)
            _note_decay(context, bench, run, epoch, read, end)
            _note_shares(context, bench, seen)
            _note_modes(context, bench, run, read, end)
        _note_run(context, run, epoch, seen)
        if held:
            _note_validation(context, run, epoch)
            _note_neighbours(context, run, seen)


def _planned(context: ProbeContext) -> tuple[int, int]:
    """Return how many steps to take, and how many batches each evaluation may look at.

    At most some epochs, and no batch of a part twice. Where the time is short the evaluations are
    cut like the steps: those of small batches would cost more than the training.
    """
    affordable = context.affordable_steps(_STEPS + _LOOKING, minimum=2 * _FEWEST_STEPS)
    taken = int(affordable * _STEPS / (_STEPS + _LOOKING))
    steps = max(taken, _FEWEST_STEPS)
    looks = 3 * _STEPS
    if taken < _STEPS:
        looks = max((affordable - taken) * _FORWARDS // (EVALUATIONS + 1), 3)
    stored = len(context.batches.train(steps))
    if context.batches.training_pass.exhausted:
        return min(steps, max(_EPOCHS * stored, _STEPS_OF_SMALL_SETS)), looks
    return min(steps, stored), looks


def _held_out(context: ProbeContext, bench: Bench, looks: int) -> Sequence[Any]:
    """Return validation batches; none, with the reason noted, where the run has to do without."""
    note = context.note
    try:
        held = some(context.batches.val(MOST_BATCHES), _EVALUATED_ONCE, looks)
    except TargetError as problem:
        note.missed(str(problem), *VALIDATION)
        return ()
    if not held:
        note.absent("there are no validation data", *VALIDATION)
        return ()
    try:
        evaluate(bench, held[:1], context.seed)
    except TargetError as problem:
        # They may be meant for another step than that of training.
        note.absent(f"the training step cannot take validation batches: {problem.message}",
                    *VALIDATION)
        return ()
    return held


def _note_decay(
    context: ProbeContext, bench: Bench, run: FitRun, epoch: int, read: Sequence[Any],
    end: Evaluation,
) -> None:
    note_decay(
        context, bench, lambda steps: epochs(context, steps, epoch), read, end, fall=run.late_fall,
        level=run.level, left=run.train[-1].loss - run.scale[1])


def _note_modes(
    context: ProbeContext, bench: Bench, run: FitRun, read: Sequence[Any], end: Evaluation,
) -> None:
    """Measure how much worse eval mode is than training mode on the same training samples.

    At a high rate the weights run ahead of running statistics. What stays when these have caught
    up, at fixed weights, is another model.
    """
    top, floor = run.scale
    found = _mode_excess(context, bench, read, end)
    if found[0] > _NOTABLE * (top - floor):
        with torch.no_grad():
            for number in range(_CATCHING_UP):
                bench.loss(batches.private(read[number % len(read)]))
        caught_up = evaluate(bench, read, context.seed)
        found = min(found, _mode_excess(context, bench, read, caught_up))
    context.note.measure("eval_mode_excess", found[0] / (top - floor))
    context.note.measure("eval_mode_excess_z", found[1])


def _mode_excess(
    context: ProbeContext, bench: Bench, read: Sequence[Any], plain: Evaluation,
) -> tuple[float, float]:
    trained = evaluate(bench, read, context.seed, as_training=True)
    found, z = excess(plain, trained)
    if plain.losses.shape != trained.losses.shape and trained.score - plain.score > _WORSE_SCORE:
        # Losses of different terms (mixed samples) do not pair up, and may differ by themselves;
        # scores do not.
        z = gap(plain, trained)[1]
    return found, z


def _note_shares(context: ProbeContext, bench: Bench, seen: Sequence[Any]) -> None:
    try:
        shares = gradient_shares(bench, seen, context.seed)
    except TargetError as problem:
        context.note.missed(f"the loss has no gradient in eval mode: {problem.message}", *_SHARES)
        return
    if shares is None:
        context.note.absent("there are too few samples, or their losses cannot be compared",
                            *_SHARES)
        return
    for name, share in zip(_SHARES, shares, strict=True):
        context.note.measure(name, share)


def _note_run(context: ProbeContext, run: FitRun, epoch: int, seen: Sequence[Any]) -> None:
    note, last = context.note, run.train[-1]
    note.measure("fit_steps", run.steps[-1])
    note.measure("fit_scale_known", run.uninformed is not None)
    note.measure("fit_epochs", run.steps[-1] / max(epoch, 1))
    note.measure("fit_train_loss", last.loss)
    note.measure("fit_level", run.level)
    note.measure("fit_late_fall", run.late_fall)
    if last.score_name:
        note.measure("fit_train_score", last.score)
    for label, evaluations in (("training", run.train), ("validation", run.val)):
        if evaluations:
            note.series(Series("fit", label, tuple(map(float, run.steps)),
                               tuple(e.loss for e in evaluations), "step", "loss"))
    rows = hardest(last.calls, seen, _starts(context, seen))
    if rows:
        note.table("hardest_samples", rows)


def _starts(context: ProbeContext, chosen: Sequence[Any]) -> list[int]:
    """Return the position of each chosen batch's first sample in the training stream."""
    places, position = {}, 0
    for batch in context.batches.training_pass.batches:
        places[id(batch)] = position
        position += batches.length(batch)
    return [places[id(batch)] for batch in chosen]


def _note_validation(context: ProbeContext, run: FitRun, epoch: int) -> None:
    note = context.note
    top, floor = run.scale
    best, last = run.best, len(run.val) - 1
    rise, z = excess(run.val[last], run.val[best])
    note.measure("val_rise", rise / (top - floor))
    note.measure("val_rise_z", z if last > best else 0.0)
    note.measure("val_stale_evaluations", last - best)
    difference, gap_z = gap(run.val[last], run.train[last])
    note.measure("fit_gap", difference / (top - floor))
    note.measure("fit_gap_z", gap_z)
    nats = difference / run.train[0].unit
    note.measure("fit_gap_nats", nats if _in_nats(run.val[last]) else math.inf)
    note.measure("fit_gap_at_best", gap(run.val[best], run.train[best])[0] / (top - floor))
    note.measure("fit_best_step", run.steps[best])
    note.measure("fit_val_loss", run.val[last].loss)
    note.measure("fit_best_val_loss", run.val[best].loss)
    middle = run.val[max(last * 2 // 3, 0)]
    note.measure("val_late_fall", (middle.loss - run.val[last].loss) / (top - floor))
    early = max(i for i, step in enumerate(run.steps) if step <= max(epoch, run.steps[0]))
    start, start_z = gap(run.val[early], run.train[early])
    note.measure("early_val_excess", start / (top - floor))
    note.measure("early_val_excess_z", start_z)
    if run.val[last].score_name:
        note.measure("fit_val_score", run.val[last].score)


def _in_nats(found: Evaluation) -> bool:
    """Tell whether the loss is a log-likelihood of classes."""
    return bool(found.loss_names) and found.loss_names <= _LIKELIHOODS


def _note_neighbours(context: ProbeContext, run: FitRun, seen: Sequence[Any]) -> None:
    """Measure by how much nearest neighbours beat the model on the validation samples, if any."""
    note, last = context.note, run.val[-1]
    train, val = training_samples(context), validation_samples(context)
    calls, found = run.train[-1].calls, None
    asked = not calls or is_asked_for(batches.split(seen[0]).target, calls[0])
    if val is not None and last.score_name and asked:
        found = neighbours_score(train, val, last)
    if found is None or drawing(context.batches.training_pass.loader) == "by its own sampler":
        note.measure("neighbours_asked", False)
        note.measure("neighbours_lead", math.nan)
        return
    note.measure("neighbours_asked", True)
    note.measure("neighbours_lead", found - last.score)
    note.measure("neighbours_score", found)
