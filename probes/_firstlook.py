"""The first passes of a fresh model: loss calls, what the first layers receive, or a refusal."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from auditor import batches, task
from auditor.errors import TargetError
from auditor.fields import features_of, numbers_in
from auditor.isolation import seeded
from auditor.losscall import LossCall, LossCalls
from auditor.probe import ProbeContext
from auditor.recorder import tensors_in, watching
from auditor.trial import Bench

from ._received import Received
from ._samples import Samples

PASSES = 4
SECONDS = 2.0


@dataclass(frozen=True)
class FirstLook:
    """What a few forward passes showed.

    Attributes:
        calls: The loss calls of each pass, those that raised included.
        received: What the first layers with weights got.
        problem: Why the user's code stopped; empty when it did not.
    """

    calls: tuple[tuple[LossCall, ...], ...]
    received: Received
    problem: str

    @property
    def main(self) -> LossCall | None:
        """The call that decides the task; that which raised when all did."""
        first = self.calls[0] if self.calls else ()
        described = task.describe(first)
        return described.main if described else (first[-1] if first else None)


def first_look(context: ProbeContext, samples: Samples) -> FirstLook:
    """Run forward and loss on a few batches; a failure of the user's code ends it and is kept."""
    received, seen, problem = Received(), [], ""
    begin = time.monotonic()
    with seeded(context.seed):
        bench = Bench(context.target)
        for batch in samples.batches[:PASSES]:
            calls = LossCalls()
            problem = _pass(bench, batches.private(batch), calls, received)
            seen.append(tuple(calls.calls))
            context.note.steps += 1
            if problem or time.monotonic() - begin > SECONDS:
                break
    return FirstLook(tuple(seen), received, problem)


def _pass(bench: Bench, batch: object, calls: LossCalls, received: Received) -> str:
    received.begin([*batches.split(batch).inputs, *features_of(batch).values()])
    try:
        with watching(bench.model, calls, received, everything=True):
            bench.loss(batch)
    except TargetError as problem:
        return problem.message
    finally:
        received.end()
    return ""


@dataclass(frozen=True)
class NonFinite:
    """Elements that are no numbers.

    Attributes:
        count: How many.
        where: In words; empty when there are none.
        batch: The first batch that holds any.
    """

    count: int
    where: str
    batch: object


def non_finite(samples: Samples) -> NonFinite:
    """Count NaN and infinities in inputs and targets; masks of zeros and -inf do not count."""
    count, where, first = 0, "", None
    before = 0
    for number, (batch, size) in enumerate(zip(samples.batches, samples.sizes, strict=True)):
        parts = batches.split(batch)
        named = [(f"input {i}" if len(parts.inputs) > 1 else "the input", t)
                 for i, t in enumerate(parts.inputs)]
        named += [(f"field {name}", t) for name, t in numbers_in(batch).items()]
        named += [("the target", t) for t in tensors_in(parts.target)
                  if all(t is not seen for _, seen in named)]
        for name, tensor in named:
            bad = _bad(tensor)
            if bad is None:
                continue
            if not count:
                # The rows of a field may be nodes.
                row = (f"row {_row(bad)} of batch {number}" if name.startswith("field ")
                       else f"sample {before + _row(bad)}")
                first, where = batch, _where(name, bad, row)
            count += int(bad.sum())
        before += size
    return NonFinite(count, where, first)


def reaches_the_gradient(context: ProbeContext, batch: object) -> bool:
    """Tell whether a batch makes the loss or a gradient non-finite, or the user's code raise."""
    with seeded(context.seed):
        bench = Bench(context.target)
        try:
            loss = bench.backward(batches.private(batch))
        except TargetError:
            return True
        gradients = [p.grad for p in bench.model.parameters() if p.grad is not None]
        return not math.isfinite(loss) or not all(
            bool(torch.isfinite(g).all()) for g in gradients if not g.is_sparse)


def _bad(tensor: Tensor) -> Tensor | None:
    if not tensor.is_floating_point() or tensor.layout != torch.strided or not tensor.numel():
        return None
    bad = ~torch.isfinite(tensor)
    if not bool(bad.any()):
        return None
    is_mask = bool((tensor[bad] == -math.inf).all()) and bool((tensor[~bad] == 0).all())
    return None if is_mask else bad


def _row(bad: Tensor) -> int:
    return int(torch.nonzero(bad)[0, 0]) if bad.dim() else 0


def _where(name: str, bad: Tensor, row: str) -> str:
    if bad.dim() < 2:
        return f"{name}, first in {row}"
    feature, values = torch.unique(torch.nonzero(bad)[:, 1], return_counts=True)
    kind = "channel" if bad.dim() == 4 else "column" if bad.dim() == 2 else "position"
    worst = int(feature[values.argmax()])
    return f"{kind} {worst} of {name}, first in {row}"


def targets_as_given(samples: Samples, look: FirstLook) -> Tensor | None:
    """Return the targets of all samples, if the loss gets them as they stand in the batch.

    Otherwise those that the first loss call showed; None where it showed none.
    """
    main = look.main
    if main is None or main.target is None:
        return None
    own = samples.parts[0].target
    as_given = (
        isinstance(own, Tensor) and own.shape == main.target.shape
        and own.dtype == main.target.dtype and batches.same_values(own, main.target)
    )
    return samples.target if as_given and samples.target is not None else main.target
