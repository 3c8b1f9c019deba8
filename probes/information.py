"""Whether the targets say anything that can be learned from the inputs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from auditor import batches, task
from auditor.errors import TargetError
from auditor.isolation import seeded
from auditor.losscall import LossCalls
from auditor.observation import Quantity
from auditor.probe import Cost, NotApplicable, OutOfTime, ProbeContext
from auditor.recorder import watching
from auditor.trial import Bench, evaluating

from ._dependence import dependence
from ._firstlook import FirstLook, first_look, same_values
from ._labels import class_labels
from ._samples import Samples, training_samples, validation_samples

_STEPS = 300
_FEWEST_STEPS = 100
# Labels without a rule take long to learn by heart: so many rounds, until most are right.
_ROUNDS = 4
_BY_HEART = 0.7
_FEWEST = 50
# Batches that are learned by heart, and batches on which the result is tested.
_LEARNED, _TESTED = 12, 24
_CLEAR = 0.01


class Information:
    """Tests for dependence; only where none is found, trains and compares with unseen samples."""

    name: ClassVar[str] = "information"
    says: ClassVar[str] = "tests whether the inputs tell the targets better than chance"
    cost: ClassVar[Cost] = Cost(steps=_STEPS, trains=True)
    yields: ClassVar[tuple[Quantity, ...]] = (
        Quantity("target_is_constant", "", "all targets are the same", kind="flag"),
        Quantity("target_value", "", "that target", kind="text"),
        Quantity("dependence_p", "", "p-value of independent inputs and targets, by neighbours "
                 "and means; 1 for constant targets"),
        Quantity("learned_skill", "share", "accuracy on samples that were trained on, 0 for the "
                 "commonest class, 1 for all right; 0 where no training was needed"),
        Quantity("unseen_skill_high", "share", "the same on unseen samples, upper end of the "
                 "95 % interval; 1 where no training was needed"),
    )
    after: ClassVar[tuple[str, ...]] = ("data",)

    def run(self, context: ProbeContext) -> None:
        """Measure, the cheap tests first.

        Raises:
            NotApplicable: There is no target of the samples' own.
        """
        samples = training_samples(context)
        target = samples.target
        if target is None or samples.count < _FEWEST:
            raise NotApplicable("the batches hold no targets of fixed shape, or too few samples")
        look = first_look(context, samples)
        constant = _is_constant(target) and _reaches_the_loss(samples, look)
        context.note.measure("target_is_constant", constant)
        if constant:
            context.note.measure("target_value", f"{float(target.reshape(-1)[0]):g}")
            _neutral(context, 1.0)
            return
        self._learnable(context, samples, look)

    def _learnable(self, context: ProbeContext, samples: Samples, look: FirstLook) -> None:
        names = ("dependence_p", "learned_skill", "unseen_skill_high")
        labels = class_labels(samples, look)
        inputs = [t for t in samples.inputs if t is not None]
        if labels is None or len(inputs) != len(samples.inputs) or not samples.separate:
            context.note.absent("the samples are not rows of fixed shape with one class", *names)
            return
        p = dependence(inputs, labels, classes=True, seed=context.seed)
        if p <= _CLEAR:
            _neutral(context, p)
        elif not all(t.is_floating_point() for t in inputs):
            # A rule over tokens (a sum modulo p) is learned long after it is learned by heart.
            context.note.absent("no simple dependence on the tokens, which says nothing", *names)
        else:
            context.note.measure("dependence_p", p)
            self._train(context, samples, labels)

    def _train(self, context: ProbeContext, samples: Samples, labels: Tensor) -> None:
        names = ("learned_skill", "unseen_skill_high")
        val = validation_samples(context)
        learned = list(samples.batches[:_LEARNED])
        tested = list((val.batches if val else samples.batches[_LEARNED:])[:_TESTED])
        if not tested:
            context.note.absent("no samples are left to test on", *names)
            return
        chance = float(torch.bincount(labels - labels.min()).max()) / len(labels)
        room = max(1 - chance, 1e-6)
        with seeded(context.seed):
            bench = Bench(context.target)
            try:
                seen = _learned_by_heart(bench, learned, chance + _BY_HEART * room, context)
            except OutOfTime as problem:
                context.note.missed(str(problem), *names)
                return
            unseen = _accuracy(bench, tested)
        error = math.sqrt(chance * (1 - chance) / max(unseen[1], 1))
        context.note.measure("learned_skill", (seen[0] - chance) / room)
        context.note.measure("unseen_skill_high", (unseen[0] + 1.96 * error - chance) / room,
                             samples=unseen[1])


def _neutral(context: ProbeContext, p: float) -> None:
    context.note.measure("dependence_p", p)
    context.note.measure("learned_skill", 0.0)
    context.note.measure("unseen_skill_high", 1.0)


def _is_constant(target: Tensor) -> bool:
    return bool((target == target[:1]).all())


def _reaches_the_loss(samples: Samples, look: FirstLook) -> bool:
    """Tell whether the loss compares with these targets; data sets may carry idle ones."""
    main, target = look.main, batches.split(samples.batches[0]).target
    if main is None or main.target is None or not isinstance(target, Tensor):
        return False
    return same_values(target, main.target)


def _learned_by_heart(
    bench: Bench, learned: Sequence[Any], enough: float, context: ProbeContext,
) -> tuple[float, int]:
    """Train until an accuracy or the last round; return `_accuracy` on the same batches.

    Raises:
        OutOfTime: There is no time for one short round.
    """
    seen, trained = (0.0, 0), 0
    for _ in range(_ROUNDS):
        try:
            steps = context.affordable_steps(_STEPS, minimum=_FEWEST_STEPS)
        except OutOfTime:
            if trained:
                break
            raise
        for step in range(trained, trained + steps):
            if context.seconds_left() < 0:
                break
            bench.step(batches.private(learned[step % len(learned)]))
            context.note.steps += 1
        trained += steps
        seen = _accuracy(bench, learned)
        if not seen[1] or seen[0] >= enough or context.seconds_left() < 0:
            break
    return seen


def _accuracy(bench: Bench, read: Sequence[Any]) -> tuple[float, int]:
    """Return the accuracy in eval mode over batches, and on how many samples."""
    right, total = 0.0, 0
    for batch in read:
        calls = LossCalls()
        try:
            with evaluating(bench.model), watching(bench.model, calls):
                bench.loss(batches.private(batch))
        except TargetError:
            # A step that calls backward itself cannot run without gradients.
            continue
        described = task.describe(calls.calls)
        found = task.score(described.main) if described else None
        if found is not None and found.name == "accuracy":
            size = batches.length(batch)
            right, total = right + found.value * size, total + size
    return (right / total if total else math.nan), total
