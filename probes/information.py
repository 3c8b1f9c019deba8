"""Whether the targets say anything that can be learned from the inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from auditor import batches, task
from auditor.errors import TargetError
from auditor.isolation import seeded
from auditor.observation import Quantity
from auditor.probe import Cost, NotApplicable, OutOfTime, ProbeContext
from auditor.trial import Bench

from ._dependence import LEAST, dependence, told_by_groups
from ._firstlook import FirstLook, first_look
from ._graph_table import as_rows
from ._labels import class_labels
from ._samples import Samples, training_samples, validation_samples
from ._seen_target import with_seen_target
from ._skill import Skill, skill

_STEPS = 300
_FEWEST_STEPS = 100
# Labels without a rule take long to learn by heart: so many rounds, until most are right.
_ROUNDS = 4
_BY_HEART = 0.7
_FEWEST = 50
# Where each input stands for so many samples on average, their targets tell all there is to know.
_REPEATED = 10
# Batches that are learned by heart, and batches on which the result is tested.
_LEARNED, _TESTED = 12, 24


# Of the order: its p-value, and the share of the target's variance between batches beyond which a
# few batches hold a few answers only.
_NO_CHANCE, _MOSTLY = 1e-3, 0.5
_SORTED = "the samples come sorted: the first ones and later ones are different tasks"


class Information:
    """Tests for dependence; only where none is found, trains and compares with unseen samples."""

    name: ClassVar[str] = "information"
    says: ClassVar[str] = "tests whether the inputs tell the targets better than chance"
    cost: ClassVar[Cost] = Cost(steps=_STEPS, trains=True, usual=4)
    yields: ClassVar[tuple[Quantity, ...]] = (
        Quantity("target_is_constant", "", "all targets are the same", kind="flag"),
        Quantity("target_value", "", "that target", kind="text"),
        Quantity("dependence_p", "", "p-value of independent inputs and targets, by neighbours "
                 "and means, or by groups where inputs repeat; 1 for constant targets"),
        Quantity("inputs_repeat", "", "there are so few different inputs that each stands for "
                 "ten samples and more", kind="flag"),
        Quantity("group_share_high", "share", "part of the target's variance that equal inputs "
                 "share, upper end of the 95 % interval; 1 where inputs do not repeat"),
        Quantity("learned_skill", "share", "accuracy or R2 on samples that were trained on, 0 for "
                 "the best constant, 1 for all right; 0 where no training was needed"),
        Quantity("unseen_skill_high", "share", "the same on unseen samples (of numbers the squared "
                 "correlation), upper end of the 95 % interval; 1 where no training was needed"),
    )
    after: ClassVar[tuple[str, ...]] = ("data",)

    def run(self, context: ProbeContext) -> None:
        """Measure, the cheap tests first.

        Raises:
            NotApplicable: There is no target of the samples' own.
        """
        read = training_samples(context)
        if read.count < _FEWEST:
            raise NotApplicable("there are too few samples")
        look = first_look(context, read)
        read = with_seen_target(context, read, look)
        samples = as_rows(read)
        target = samples.target
        if target is None:
            raise NotApplicable("the batches hold no targets of fixed shape")
        constant = _is_constant(target) and _reaches_the_loss(samples, look)
        context.note.measure("target_is_constant", constant)
        if constant:
            context.note.measure("target_value", f"{float(target.reshape(-1)[0]):g}")
            context.note.measure("group_share_high", 1.0)
            _neutral(context, 1.0)
            return
        self._learnable(context, samples, look, whole=samples is read)

    def _learnable(
        self, context: ProbeContext, samples: Samples, look: FirstLook, *, whole: bool,
    ) -> None:
        names = ("dependence_p", "inputs_repeat", "group_share_high", "learned_skill",
                 "unseen_skill_high")
        labels = class_labels(samples, look)
        target = _numbers(samples, look) if labels is None else labels
        inputs = [t for t in samples.inputs if t is not None]
        if target is None or len(inputs) != len(samples.inputs) or not samples.separate:
            context.note.absent(
                "the samples are not rows of fixed shape with one class or number", *names)
            return
        if whole and (groups := _groups(inputs)) is not None:
            # So few different inputs that what these do not tell, nothing in the inputs tells.
            told = told_by_groups(groups, target, classes=labels is not None, seed=context.seed)
            context.note.measure("group_share_high", told.high)
            _neutral(context, told.p, repeat=True)
            return
        p = dependence(inputs, target, classes=labels is not None, seed=context.seed)
        context.note.measure("group_share_high", 1.0)
        if p <= LEAST:
            _neutral(context, p)
        elif not all(t.is_floating_point() for t in inputs):
            # A rule over tokens (a sum modulo p) is learned long after it is learned by heart.
            context.note.absent("no simple dependence on the tokens, which says nothing", *names)
        elif _come_sorted(context):
            context.note.missed(_SORTED, *names)
        else:
            context.note.measure("dependence_p", p)
            context.note.measure("inputs_repeat", False)
            self._train(context, samples, None if labels is None else _commonest(labels))

    def _train(self, context: ProbeContext, samples: Samples, chance: float | None) -> None:
        names = ("learned_skill", "unseen_skill_high")
        val = validation_samples(context)
        learned = list(samples.batches[:_LEARNED])
        tested = list((val.batches if val else samples.batches[_LEARNED:])[:_TESTED])
        if not tested:
            context.note.absent("no samples are left to test on", *names)
            return
        with seeded(context.seed):
            bench = Bench(context.target)
            problem = _cannot_answer(bench, learned[0], context.seed)
            if problem:
                context.note.absent(problem, *names)
                return
            try:
                seen = _learned_by_heart(bench, learned, chance, context)
            except OutOfTime as late:
                context.note.missed(str(late), *names)
                return
            unseen = skill(bench, tested, chance)
        context.note.measure("learned_skill", seen.value)
        context.note.measure("unseen_skill_high", unseen.high, samples=unseen.samples)


def _neutral(context: ProbeContext, p: float, *, repeat: bool = False) -> None:
    context.note.measure("dependence_p", p)
    context.note.measure("inputs_repeat", repeat)
    context.note.measure("learned_skill", 0.0)
    context.note.measure("unseen_skill_high", 1.0)


def _come_sorted(context: ProbeContext) -> bool:
    return (context.number("order_p") <= _NO_CHANCE
            and context.number("order_explained") > _MOSTLY)


def _groups(inputs: Sequence[Tensor]) -> Tensor | None:
    """Return (N,) which samples have equal inputs; None where there are too many different ones."""
    count = len(inputs[0])
    parts = [t.detach().cpu().reshape(count, -1).contiguous().view(torch.uint8).numpy()
             for t in inputs]
    seen: dict[bytes, int] = {}
    groups = []
    for row in range(count):
        content = b"".join(part[row].tobytes() for part in parts)
        groups.append(seen.setdefault(content, len(seen)))
        if len(seen) * _REPEATED > count:
            return None
    return torch.tensor(groups)


def _is_constant(target: Tensor) -> bool:
    return bool((target == target[:1]).all())


def _reaches_the_loss(samples: Samples, look: FirstLook) -> bool:
    """Tell whether the loss compares with these targets; data sets may carry idle ones."""
    main, target = look.main, samples.target
    if main is None or main.target is None or target is None:
        return False
    return batches.same_values(target[:samples.sizes[0]], main.target)


def _numbers(samples: Samples, look: FirstLook) -> Tensor | None:
    """Return one number per sample that a regression is to tell, (N,); None if there is none."""
    target, main = samples.target, look.main
    described = task.describe(look.calls[0] if look.calls else (), samples.sizes[0])
    if target is None or main is None or described is None or described.kind != "regression":
        return None
    if target.numel() != samples.count or main.input.numel() != samples.sizes[0]:
        return None
    return target.reshape(-1) if _reaches_the_loss(samples, look) else None


def _cannot_answer(bench: Bench, batch: Any, seed: int) -> str:
    """Return why the model cannot be evaluated; empty when it can."""
    try:
        with seeded(seed):
            skill(bench, [batch], None)
    except TargetError as problem:
        # For example a training step that calls backward itself.
        return f"the training step cannot be evaluated: {problem.message}"
    return ""


def _commonest(labels: Tensor) -> float:
    return float(torch.bincount(labels - labels.min()).max()) / len(labels)


def _learned_by_heart(
    bench: Bench, learned: Sequence[Any], chance: float | None, context: ProbeContext,
) -> Skill:
    """Train until most is known by heart or the last round; return the skill on the same batches.

    Raises:
        OutOfTime: There is no time for one short round.
    """
    seen, trained = Skill(0.0, 1.0, 0), 0
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
        seen = skill(bench, learned, chance)
        if not seen.samples or seen.value >= _BY_HEART or context.seconds_left() < 0:
            break
    return seen
