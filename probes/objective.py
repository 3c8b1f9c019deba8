"""Whether the loss fits what the model puts out and what the targets are."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from auditor import batches, functions
from auditor.functions import REGRESSION_LOSSES
from auditor.isolation import seeded
from auditor.lossvalue import CLASS_LOSSES, LOGIT_BINARY_LOSSES, class_dim
from auditor.observation import Quantity
from auditor.probe import Cost, NotApplicable, ProbeContext
from auditor.trial import Bench

from ._by_hand import ByHand, Twice
from ._loss_direction import note_direction
from ._losses import SeenLoss, watch_losses

_BATCHES = 3
# How far a row of probabilities may sum from one, and a value lie outside of its range.
_ROUNDING = 1e-3
_RANGE_SLACK = 0.01
_MOST_CLASSES = 20
# Class indices are about equally frequent; counts and ratings are not.
_EVEN_FROM, _EVEN_TO = 0.3, 3.0
_LOGIT_LOSSES = LOGIT_BINARY_LOSSES | {"cross_entropy"}


class Objective:
    """Looks at every loss call of a few batches: its input, its target, what made the input."""

    name: ClassVar[str] = "objective"
    says: ClassVar[str] = "compares what the loss gets with what it is made for"
    cost: ClassVar[Cost] = Cost(steps=_BATCHES, minimum_steps=1)
    after: ClassVar[tuple[str, ...]] = ()
    yields: ClassVar[tuple[Quantity, ...]] = (
        Quantity("activated_twice", "share", "rows of a loss's input that already went through "
                 "the activation which the loss applies"),
        Quantity("log_activated_twice", "share", "rows of cross-entropy's input that are "
                 "log-probabilities already"),
        Quantity("first_activation", "", "activation before the loss", kind="text"),
        Quantity("activates_again", "", "the function that applies it again", kind="text"),
        Quantity("unnormalized_rows", "share", "rows of the loss's input that cannot be the "
                 "(log-)probabilities which the loss expects"),
        Quantity("loss_takes", "", "what the loss expects", kind="text"),
        Quantity("takes_probabilities", "", "the loss expects probabilities, not their logarithms",
                 kind="flag"),
        Quantity("unreachable_targets", "share", "target values outside of the range of the last "
                 "activation"),
        Quantity("limited_logits", "", "the logits come out of an activation that limits them",
                 kind="flag"),
        Quantity("last_activation", "", "the last operation before the loss", kind="text"),
        Quantity("one_class", "", "softmax runs over a single output", kind="flag"),
        Quantity("indices_as_numbers", "", "classes whose indices a regression loss takes for "
                 "numbers"),
        Quantity("index_typed_targets", "", "the batches hold those targets as integers",
                 kind="flag"),
        Quantity("exclusive_rows", "share", "target rows of an elementwise loss in which exactly "
                 "one of three or more classes is set"),
        Quantity("squared_probabilities", "", "a regression loss compares them with the output of "
                 "softmax", kind="flag"),
        Quantity("loss_name", "", "the loss function", kind="text"),
        Quantity("raises_loss", "", "a step makes larger what the loss function gives",
                 kind="flag"),
    )

    def run(self, context: ProbeContext) -> None:
        """Measure, and write into the notebook."""
        stored = context.batches.train(_BATCHES)
        with seeded(context.seed):
            by_hand = ByHand()
            bench = Bench(context.target)
            listener = watch_losses(bench, stored, by_hand=by_hand)
        context.note.steps += len(stored)
        seen = [loss for loss in listener.seen if _is_trained(loss)]
        if not seen and not by_hand.found:
            raise NotApplicable("no known loss function is called on the model's output")
        if seen:
            context.note.measure("loss_name", seen[0].call.name)
        _note_twice(seen, by_hand.found, context)
        _note_missing(seen, context)
        _note_range(seen, context)
        _note_task(seen, stored, context)
        note_direction(context, seen, listener.losses, bench.optimizer)


def _is_trained(loss: SeenLoss) -> bool:
    return loss.trained and loss.call.input.is_floating_point() \
        and loss.call.input.dim() > 0


def _note_twice(seen: Sequence[SeenLoss], by_hand: Sequence[Twice], context: ProbeContext) -> None:
    if by_hand:
        context.note.measure("activated_twice", 1.0)
        context.note.measure("log_activated_twice", 0.0)
        context.note.measure("first_activation", by_hand[0].earlier.name)
        context.note.measure("activates_again", by_hand[0].name)
        return
    shares = [(*_twice(loss), loss) for loss in seen
              if loss.call.name in _LOGIT_LOSSES | {"nll_loss"}]
    if not shares:
        context.note.absent("the loss applies no activation of its own", "activated_twice",
                            "log_activated_twice")
        return
    worst = max(shares, key=lambda item: (item[0], item[1]))
    context.note.measure("activated_twice", worst[0])
    context.note.measure("log_activated_twice", worst[1])
    if worst[0] or worst[1]:
        call = worst[2].call
        name = worst[2].earlier.name if worst[2].earlier else (
            call.activation.name if call.activation else "softmax")
        context.note.measure("first_activation", name)
        context.note.measure("activates_again", call.name)


def _twice(loss: SeenLoss) -> tuple[float, float]:
    """Return the share of rows that are probabilities already, and that of log-probabilities."""
    call = loss.call
    rows = _rows(loss)
    activation = call.activation.name if call.activation else ""
    if call.name == "nll_loss":
        double = loss.earlier is not None and loss.earlier.name in ("softmax", "sigmoid")
        return float(double and rows.shape[1] > 1), 0.0
    if activation in ("sigmoid", "hardsigmoid"):
        return 1.0, 0.0
    if rows.shape[1] < 2 or call.name != "cross_entropy":
        return float(activation == "softmax" and rows.shape[1] > 1), 0.0
    sums = (rows.sum(dim=1) - 1).abs() < _ROUNDING
    probable = sums & (rows.amin(dim=1) >= 0) & (rows.amax(dim=1) <= 1 + _ROUNDING)
    logs = (rows.logsumexp(dim=1).abs() < _ROUNDING) & (rows.amax(dim=1) <= _ROUNDING)
    return float(probable.double().mean()), float(logs.double().mean())


def _note_missing(seen: Sequence[SeenLoss], context: ProbeContext) -> None:
    takes = {"binary_cross_entropy": "probabilities", "nll_loss": "log-probabilities",
             "kl_div": "log-probabilities"}
    shares = [(_unnormalized(loss), takes[loss.call.name]) for loss in seen
              if loss.call.name in takes]
    if not shares:
        context.note.absent("the loss takes raw scores", "unnormalized_rows")
        return
    share, wanted = max(shares)
    context.note.measure("unnormalized_rows", share)
    context.note.measure("loss_takes", wanted)
    context.note.measure("takes_probabilities", wanted == "probabilities")


def _unnormalized(loss: SeenLoss) -> float:
    """Return the share of rows with a value that no (log-)probability can have.

    A clamp hides it, and takes the gradient away.
    """
    rows = _rows(loss)
    is_binary = loss.call.name == "binary_cross_entropy"
    if is_binary and loss.unclamped is not None and loss.unclamped.numel() == rows.numel():
        rows = loss.unclamped.float().reshape(len(rows), -1)
    high = rows.amax(dim=1)
    if is_binary:
        wrong = (rows.amin(dim=1) < -_ROUNDING) | (high > 1 + _ROUNDING)
    else:
        wrong = high > _ROUNDING
    return float(wrong.double().mean())


def _rows(loss: SeenLoss) -> Tensor:
    """Return the loss's input as (R, C): rows of classes, or rows of one value."""
    source = loss.call.input.float()
    if loss.call.name in CLASS_LOSSES or loss.call.name == "kl_div":
        dim = class_dim(loss.call)
        return source.movedim(dim, -1).reshape(-1, source.shape[dim])
    return source.reshape(source.shape[0], -1)


def _note_range(seen: Sequence[SeenLoss], context: ProbeContext) -> None:
    judged = [loss for loss in seen if loss.call.target is not None
              and loss.call.name in REGRESSION_LOSSES | _LOGIT_LOSSES]
    if not judged:
        context.note.absent("the loss has no target whose range could be compared",
                            "unreachable_targets", "limited_logits")
        return
    limited = [loss for loss in judged if _is_limited(loss)]
    worst = limited[0] if limited else max(judged, key=_unreachable)
    by_batch = [max(_unreachable(loss) for loss in judged if loss.batch == batch)
                for batch in {loss.batch for loss in judged}]
    context.note.measure("unreachable_targets", statistics.fmean(by_batch))
    context.note.measure("limited_logits", bool(limited))
    if worst.bounds is not None:
        context.note.measure("last_activation", worst.bounds.by)


def _unreachable(loss: SeenLoss) -> float:
    """Return the share of target values that the last activation cannot produce."""
    target, bounds = loss.call.target, loss.bounds
    if bounds is None or target is None or loss.call.name not in REGRESSION_LOSSES:
        return 0.0
    values = target.float()
    width = bounds.high - bounds.low
    slack = _RANGE_SLACK * (width if width < torch.inf else float(values.abs().mean()))
    outside = (values < bounds.low - slack) | (values > bounds.high + slack)
    return float(outside.double().mean())


def _is_limited(loss: SeenLoss) -> bool:
    """Tell whether logits come out of ReLU, tanh and the like.

    Softmax and sigmoid before such a loss are another fault (the same activation twice), and
    clamps that only guard against overflow are none.
    """
    activation = loss.call.activation
    return loss.call.name in _LOGIT_LOSSES and activation is not None and (
        activation.family == "rectifier" or activation.name in ("tanh", "hardtanh", "softsign"))


def _note_task(seen: Sequence[SeenLoss], stored: Sequence[object], context: ProbeContext) -> None:
    note = context.note
    note.measure("one_class", any(_has_one_class(loss) for loss in seen))
    numbers = [loss for loss in seen if loss.call.name in REGRESSION_LOSSES]
    note.measure("indices_as_numbers", _index_classes(numbers))
    targets = [t for batch in stored for t in batches.tensors_of(batches.split(batch).target)]
    note.measure("index_typed_targets", any(not t.is_floating_point() for t in targets))
    note.measure("exclusive_rows", max((_exclusive(loss) for loss in seen), default=0.0))
    note.measure("squared_probabilities", any(
        _exclusive(loss) == 1 and loss.call.activation is not None
        and loss.call.activation.family == "softmax" for loss in numbers))


def _has_one_class(loss: SeenLoss) -> bool:
    call = loss.call
    if call.name == "cross_entropy":
        return call.input.dim() >= 2 and call.input.shape[1] == 1
    softmax = call.activation is not None and call.activation.family == "softmax"
    return softmax and call.input.dim() >= 2 and call.input.shape[-1] == 1


def _index_classes(losses: Sequence[SeenLoss]) -> int:
    """Return how many class indices stand in the targets of regression losses; 0 if none do.

    Indices are whole, count from zero without a gap and are about equally frequent.
    """
    found = [_one_number_a_row(loss.call.target) for loss in losses
             if loss.call.target is not None]
    targets = [target for target in found if target is not None]
    if not targets:
        return 0
    values, counts = torch.unique(torch.cat(targets).double(), return_counts=True)
    whole = bool((values == torch.arange(len(values), dtype=torch.float64)).all())
    if not whole or not 3 <= len(values) <= _MOST_CLASSES:
        return 0
    even = counts.double() / counts.double().mean()
    return len(values) if _EVEN_FROM <= float(even.min()) <= float(even.max()) <= _EVEN_TO else 0


def _one_number_a_row(target: Tensor) -> Tensor | None:
    """Return (N,) numbers of a target that holds one for each sample, or one many times."""
    if target.dim() == 0 or target.dim() > 2 or not target.numel():
        return None
    rows = target.reshape(len(target), -1)
    return rows[:, 0] if bool((rows == rows[:, :1]).all()) else None


def _exclusive(loss: SeenLoss) -> float:
    """Return the share of an elementwise loss's target rows that name one of many classes."""
    target = loss.call.target
    each = loss.call.name in functions.ELEMENTWISE_LOSSES - {"kl_div", "poisson_nll_loss"}
    if target is None or not each or target.dim() != 2 or target.shape[1] < 3:
        return 0.0
    hot = ((target == 0) | (target == 1)).all(dim=1) & (target.sum(dim=1) == 1)
    return float(hot.double().mean())
