"""One initialisation and one order of batches, on which runs at different rates compete.

Every run on a track begins at the same weights, sees the same batches in the same order, and is
judged on the same further batches with the same random numbers (dropout): only what the runs do
differently can make them differ.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import torch

from auditor import batches, task
from auditor.isolation import seed_all, seeded, undisturbed
from auditor.losscall import LossCall, LossCalls
from auditor.lossvalue import scale_of
from auditor.probe import ProbeContext
from auditor.recorder import watching
from auditor.snapshot import Snapshot
from auditor.trial import Bench, Changes, Outcome, run

from ._constant import constant_loss
from ._stored import divided, stored_batches

EVALUATED = 6
_LOOKS = 16
# A loss that ends above its start by this part, or by twice the spread over batches, has blown up.
_CLEARLY = 0.1
_SPREADS = 10
# As near the best constant as this part of it is there; farther above than that is away from it. A
# run with this part of the way still to go has hardly begun.
_AT, _AWAY, _STILL_TO_GO = 0.05, 0.1, 0.67
_MOST_VALUES = 20_000_000


@dataclass
class Run:
    """One run on a track.

    Attributes:
        lr: Its rate.
        losses: Loss of each step before its update.
        outcome: As of the trial.
        after: Loss on each evaluation batch at the end; infinite when it diverged.
        state: Where to go on from; None once it is out of the race.
    """

    lr: float
    losses: list[float]
    outcome: Outcome
    after: tuple[float, ...] = ()
    state: Snapshot | None = None

    @property
    def loss(self) -> float:
        """Mean loss on the evaluation batches at the end."""
        return fmean(self.after) if self.after else math.inf

    @property
    def standard_error(self) -> float:
        """Of that mean; 0 for a single batch."""
        return _spread(self.after) / math.sqrt(max(len(self.after), 1))


class Track:
    """A bench at its start, with batches to train on and others to be judged on.

    Must be made and used inside `isolation.seeded`.

    Args:
        context: Of the probe.
        steps: Batches that a run is going to need.
        number: 0 for the audit's own seed; further ones draw new weights and another order.
        changes: Of every run.
        only: Train on this batch alone and judge by it: how well it is memorised.

    Attributes:
        train: Batches of the runs, in order.
        judges: Batches that judge; none of them is trained on when no batch is met twice.
        before: Loss on each judge at the start.
        uninformed: Loss of the best constant prediction on the judges, by the formula of its loss;
            None when there is none.
        constant: The same, learned under the user's own step where there is no formula; None where
            that is not possible either.
    """

    def __init__(
        self, context: ProbeContext, steps: int, *, number: int = 0, changes: Changes | None = None,
        only: Any = None,
    ) -> None:
        self.context = context
        self.seed = context.seed + 1000 * number
        if only is not None:
            # Several times, with other random numbers: a loss that shuffles its samples is not
            # known by heart for one of its orders.
            self.train, self.judges = [only], [only] * _LOOKS
        else:
            stored = stored_batches(context, steps + EVALUATED)
            self.train, self.judges = divided(stored, steps, number, EVALUATED)
        seed_all(self.seed)
        self.bench = Bench(context.target, changes)
        self._ratios = _ratios(self.bench.base_lrs)
        self.user_lr = self.bench.lr
        self.start = self.bench.snapshot()
        self.before, calls = self._look(self.judges)
        self.uninformed = _uninformed(calls, self.before)
        self.constant = (constant_loss(self.bench, self.judges, self.seed)
                         if self.uninformed is None else self.uninformed)

    @property
    def reference(self) -> float:
        """What has to be beaten: the loss at the start or the uninformed one, if lower."""
        start = fmean(self.before)
        return start if self.constant is None else min(start, self.constant)

    def blown_up(self, run: Run) -> bool:
        """Tell whether a run diverged or ended clearly above its start."""
        start = fmean(self.before)
        margin = max(_CLEARLY * abs(start), 2 * _spread(self.before))
        return run.outcome == "diverged" or run.loss > start + margin

    def gap(self, run: Run, better: Run) -> float:
        """Return how far a run ended behind another, relative to what that one learned.

        0 is as good, 1 is nothing learned (beyond the best constant), more is worse than that. A
        diverged run counts as not having moved. Where the better one learned nothing either it is
        0, but 1 for a run that is lost beside one that is not, or has hardly come nearer to the
        best constant that the other one has got to. A loss may well rise while all is well (targets
        that the model makes itself): where the best constant is not known by a formula, only twice
        the loss at the start is lost.
        """
        learned = self.reference - better.loss
        if not math.isfinite(learned) or learned <= 0:
            lost = self._is_lost(run) and not self._is_lost(better)
            return float(lost or self._is_short_of_the_constant(run, better))
        ended = run.loss if math.isfinite(run.loss) else max(fmean(self.before), self.reference)
        return (ended - better.loss) / learned

    def _is_short_of_the_constant(self, run: Run, better: Run) -> bool:
        """Tell whether a run has hardly begun to come to the constant where the other one is."""
        way = fmean(self.before) - self.reference
        return (way > _AWAY * self.whole and self.share_learned(better) > -_AT
                and run.loss - self.reference > _STILL_TO_GO * way)

    def _is_lost(self, run: Run) -> bool:
        if self.uninformed is not None:
            return self.blown_up(run)
        return run.outcome == "diverged" or run.loss > self.unbearable

    @property
    def whole(self) -> float:
        """What could be learned, at most, in units of the loss: the loss to be beaten.

        Where no formula gives the best constant the loss may hold a large constant part; ten times
        its spread over batches is then what counts, if less.
        """
        whole = abs(self.reference)
        if self.uninformed is None and (spread := _spread(self.before)) > 0:
            whole = min(whole, _SPREADS * spread)
        return whole

    def share_learned(self, run: Run) -> float:
        """Return how far a run fell below the reference, relative to the whole."""
        return (self.reference - run.loss) / self.whole if self.whole else 0.0

    def below_zero(self, run: Run) -> float:
        """Return how far a run ended below zero, in sizes of the loss at the start, or of 1."""
        if run.outcome == "diverged":
            return 0.0
        return max(-run.loss, 0.0) / max(abs(fmean(self.before)), 1.0)

    def jolt(self, run: Run) -> float:
        """Return how far the loss rose above its start in the first half of a run, as a share."""
        early = [loss for loss in run.losses[:(len(run.losses) + 1) // 2] if math.isfinite(loss)]
        if not early or not self.whole:
            return 0.0
        return max(max(early) - early[0], 0.0) / self.whole

    @property
    def unbearable(self) -> float:
        """The loss above which a run has blown up: about twice the one at the start."""
        start = fmean(self.before)
        return start + max(abs(start), _SPREADS * _spread(self.before))

    def set_lr(self, lr: float) -> None:
        """Set the rate of all groups, which keep their ratios."""
        self.bench.base_lrs = [lr * ratio for ratio in self._ratios]

    def begin(self, *, warmup_steps: int | None = None) -> None:
        """Go back to the start."""
        self.bench.changes = replace(self.bench.changes, warmup_steps=warmup_steps)
        self.bench.restore(self.start)

    def go(
        self, lr: float, steps: int, *, state: Snapshot | None = None,
        rate: Callable[[int], float] | None = None, warmup_steps: int | None = None,
        patient: bool = True, judged: bool = True,
    ) -> Run:
        """Take steps from the start, or from a state that an earlier run left.

        Args:
            lr: Of the first group.
            steps: How many.
            state: Where to begin.
            rate: Gives the rate at each of these steps instead of `lr`.
            warmup_steps: Linear warm-up; None keeps the user's (shortened), 0 has none.
            patient: Go on although the loss has blown up; it may come back.
            judged: Evaluate at the end and keep the state.
        """
        self.begin(warmup_steps=warmup_steps)
        if state is not None:
            self.bench.restore(state)
        stream = self._stream(steps, rate or (lambda _: lr))
        stop = None if patient else self._hopeless
        result = run(self.bench, stream, deadline=self.context.deadline, stop=stop)
        self.context.note.steps += len(result.losses)
        done = Run(lr, result.losses, result.outcome)
        # Nothing reads the last gradients, and the evaluation needs room.
        self.bench.optimizer.zero_grad(set_to_none=True)
        if judged and result.outcome != "diverged":
            done.after = tuple(self.evaluate())
            done.state = self.bench.snapshot()
        return done

    def step(self) -> float:
        """Take one step at the present rate on the next batch; return the loss before it."""
        self.context.note.steps += 1
        return self.bench.step(batches.private(self.train[self.bench.steps % len(self.train)]))

    def evaluate(self) -> list[float]:
        """Return the loss on each judge at the present weights, always with the same noise."""
        losses, _ = self._look(self.judges)
        return [loss if math.isfinite(loss) else math.inf for loss in losses]

    def loss_of(self, batch: Any, seed: int | None = None) -> float:
        """Return the loss of a batch at the present weights, without a step."""
        with seeded(self.seed if seed is None else seed):
            return float(self.bench.loss(batches.private(batch)).loss.detach())

    def _look(self, chosen: Sequence[Any]) -> tuple[list[float], list[LossCall]]:
        losses: list[float] = []
        calls: list[LossCall] = []
        with undisturbed():
            for number, batch in enumerate(chosen):
                listener = LossCalls()
                seed_all(self.seed + number)
                with watching(self.bench.model, listener):
                    losses.append(
                        float(self.bench.loss(batches.private(batch)).loss.detach()))
                if len(listener.calls) == 1 and listener.calls[0].input.numel() < _MOST_VALUES:
                    calls += listener.calls
        return losses, calls

    def _stream(self, steps: int, rate: Callable[[int], float]) -> Iterator[Any]:
        first = self.bench.steps
        for step in range(steps):
            self.set_lr(rate(step))
            yield batches.private(self.train[(first + step) % len(self.train)])

    def _hopeless(self, losses: Sequence[float]) -> bool:
        return len(losses) >= 4 and min(losses[-4:]) > self.unbearable


def _ratios(rates: Sequence[float]) -> list[float]:
    first = rates[0]
    return [rate / first if first else 1.0 for rate in rates]


def _uninformed(calls: list[LossCall], losses: Sequence[float]) -> float | None:
    """Return the loss of the best constant, scaled as the user scales the watched loss.

    A negated loss has none: it gets the better the worse the prediction.
    """
    scale = scale_of(losses, calls)
    if scale is None or scale < 0:
        return None
    constant = task.uninformed_loss(calls)
    return None if constant is None else constant * scale


def _spread(values: Sequence[float]) -> float:
    return float(torch.tensor(values).std()) if len(values) > 1 else 0.0
