"""How much of the gradient easy and hard samples make, by the loss as the user's code weighs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from auditor import batches, task
from auditor.functions import REGRESSION_LOSSES
from auditor.isolation import seeded
from auditor.losscall import LossCall, LossCalls
from auditor.lossvalue import BINARY_LOSSES, CLASS_LOSSES, is_soft, is_two_valued
from auditor.modes import evaluating
from auditor.recorder import Call, watching
from auditor.trial import Bench

# With fewer, one hundredth of them is a single sample.
_FEWEST = 200


def gradient_shares(bench: Bench, read: Sequence[Any], seed: int) -> tuple[float, float] | None:
    """Return the shares of the gradient that the hardest tenth and the hardest 1 % carry.

    A sample's part is the norm of the whole loss's gradient at the model's output, so weights
    and focal terms around the loss function count; easy is a small loss. Lin et al. 2017 (focal
    loss), figure 4, draws the same curve for the loss.

    Args:
        bench: Left as it is; asked in eval mode.
        read: Batches.
        seed: Of models that draw in forward.

    Returns:
        None for fewer than 200 samples, where the loss is not one value a sample with the same
        floor for all, or where no gradient comes to the output.

    Raises:
        TargetError: The user's code failed.
    """
    losses, norms = [], []
    with seeded(seed):
        for batch in read:
            found = _of_batch(bench, batch)
            if found is None:
                return None
            losses.append(found[0])
            norms.append(found[1])
    if sum(map(len, losses)) < _FEWEST:
        return None
    ordered = torch.cat(norms)[torch.cat(losses).argsort()].double()
    total = float(ordered.sum())
    if not total > 0:
        return None
    tenth, top = len(ordered) // 10, max(len(ordered) // 100, 1)
    return float(ordered[-tenth:].sum()) / total, float(ordered[-top:].sum()) / total


def row_by_row(call: LossCall, losses: Tensor, samples: int) -> bool:
    """Tell whether losses, outputs and targets have one row for each sample."""
    target = call.target
    return losses.shape[0] == samples == call.input.shape[0] and (
        target is None or (target.dim() > 0 and target.shape[0] == samples))


class _Live(LossCalls):
    """Keeps, beside each loss call, its input with the graph behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[Tensor] = []

    def on_function(self, call: Call) -> None:
        before = len(self.calls)
        super().on_function(call)
        if len(self.calls) > before and self.live is not None:
            self.sources.append(self.live)


def _is_distance(call: LossCall) -> bool:
    """Tell whether a larger loss is a worse answer: its floor is the same for every sample.

    Soft targets and likelihoods of counts or scales have a floor of their own for each sample.
    """
    if call.name in BINARY_LOSSES:
        return call.target is not None and is_two_valued(call.target)
    if call.name in CLASS_LOSSES:
        return not is_soft(call)
    return call.name in REGRESSION_LOSSES


def _of_batch(bench: Bench, batch: Any) -> tuple[Tensor, Tensor] | None:
    """Return loss and norm of the gradient of each sample, (N,) each."""
    listener, samples = _Live(), batches.length(batch)
    # cuDNN's recurrent layers have no backward in eval mode; their plain versions do.
    with evaluating(bench.model), torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        with watching(bench.model, listener):
            total = bench.loss(batches.private(batch)).loss
        described = task.describe(listener.calls, samples)
        main = None if described is None else described.main
        own = None if main is None else task.per_sample_losses(main)
        if (main is None or own is None or not _is_distance(main)
                or not row_by_row(main, own, samples)):
            return None
        source = next(s for c, s in zip(listener.calls, listener.sources, strict=True)
                      if c is main)
        if not (total.requires_grad and source.requires_grad):
            return None
        (gradient,) = torch.autograd.grad(total, source, allow_unused=True)
    if gradient is None:
        return None
    # Of a mean over the batch; batches of other sizes shall count by their samples.
    norms = gradient.detach().float().reshape(samples, -1).norm(dim=1) * samples
    return own.float(), norms
