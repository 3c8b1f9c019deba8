"""What the best constant output gets under the user's own loss, where no formula tells it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from auditor import batches
from auditor.errors import TargetError
from auditor.isolation import seed_all, undisturbed
from auditor.trial import Bench

# Rounds of L-BFGS with a line search, until one gains no more than this part of what all did. Where
# none does, there is no best constant, or it was not found.
_ROUNDS, _ITERATIONS, _ENOUGH = 6, 15, 1e-4
_SETTLED = 0.02
_FLAT = 0.3
# A loss that compares samples is the same for every constant, and says nothing of knowing nothing.
_LEVEL = 1e-6
# A user's loss that takes longer in all is not worth it.
_PATIENCE_SECONDS = 3.0


class _UnansweredError(Exception):
    """The loss does not depend on what the model puts out, or takes too long."""


def constant_loss(bench: Bench, stored: Sequence[Any], seed: int) -> float | None:
    """Return the mean loss over batches of the one best output, the same for every sample.

    The output is learned under the user's own step: the model answers with a row of free numbers
    instead of looking at its input. Losses that no library knows (pinball, mixup, focal) have their
    uninformed value by this.

    Args:
        bench: In the state it is to be judged in. Its weights and its forward are as before
            afterwards; running statistics move, as in every pass of training.
        stored: Batches.
        seed: Of the first batch; the others have the ones after it.

    Returns:
        None where the model does not put out one tensor of shape (B,) or (B, C), where its output
        does not decide the loss, and where no constant is the best one.
    """
    try:
        with undisturbed():
            rows = _outputs(bench, stored, seed)
            if rows is None:
                return None
            start = torch.stack([row.mean(dim=0) for one in rows for row in one]).mean(dim=0)
            if not bool(start.isfinite().all()):
                return None
            return _minimised(bench, stored, seed, rows, start.clone().requires_grad_())
    except (TargetError, _UnansweredError):
        # A loss may well refuse an output that no model gives; it then has no such mark.
        return None


def _outputs(bench: Bench, stored: Sequence[Any], seed: int) -> list[list[Tensor]] | None:
    """Return what the model puts out for each batch, in the order of its calls."""
    seen: list[list[Any]] = []
    forward = bench.model.forward

    def watched(*args: Any, **kwargs: Any) -> Any:
        output = forward(*args, **kwargs)
        seen[-1].append(output.detach() if isinstance(output, Tensor) else output)
        return output

    with _forward(bench.model, watched), torch.no_grad():
        for number, batch in enumerate(stored):
            seen.append([])
            seed_all(seed + number)
            bench.loss(batches.private(batch))
            if not seen[-1] or not all(map(_is_row_a_sample, seen[-1])):
                return None
    columns = {output.shape[1:] for one in seen for output in one}
    return seen if len(columns) == 1 else None


def _is_row_a_sample(output: Any) -> bool:
    return (isinstance(output, Tensor) and output.is_floating_point()
            and output.dim() in (1, 2) and len(output) > 0)


def _minimised(
    bench: Bench, stored: Sequence[Any], seed: int, rows: list[list[Tensor]], constant: Tensor,
) -> float | None:
    """Return the loss at the best constant, if there is one."""
    end = time.monotonic() + _PATIENCE_SECONDS
    answers: Iterator[Tensor] = iter(())

    def answer(*_: Any, **__: Any) -> Tensor:
        like = next(answers, None)
        if like is None:
            raise _UnansweredError
        return constant.to(like.dtype).expand(like.shape).clone()

    def loss() -> Tensor:
        nonlocal answers
        found = []
        for number, batch in enumerate(stored):
            answers = iter(rows[number])
            seed_all(seed + number)
            found.append(bench.loss(batches.private(batch)).loss.float())
        return torch.stack(found).mean()

    def closure() -> Tensor:
        value = loss()
        if not value.requires_grad or time.monotonic() > end:
            raise _UnansweredError
        (constant.grad,) = torch.autograd.grad(value, constant, allow_unused=True)
        if constant.grad is None:
            raise _UnansweredError
        return value.detach()

    with _forward(bench.model, answer), torch.enable_grad():
        first = before = float(closure())
        steep = _slope(constant)
        if steep <= _LEVEL * max(abs(first), 1.0):
            return None
        for _ in range(_ROUNDS):
            # Each round begins without the curvature that a corner of the loss has spoiled.
            search = torch.optim.LBFGS(
                [constant], max_iter=_ITERATIONS, line_search_fn="strong_wolfe",
                tolerance_grad=_ENOUGH, tolerance_change=_ENOUGH)
            search.step(closure)  # type: ignore[no-untyped-call]
            reached = float(closure())
            if not math.isfinite(reached):
                return None
            if before - reached <= _SETTLED * (first - reached):
                # A loss without a minimum falls as steeply there as at the start.
                return reached if _slope(constant) <= _FLAT * steep or reached >= first else None
            before = reached
    return None


def _slope(constant: Tensor) -> float:
    assert constant.grad is not None
    return float(constant.grad.norm())


@contextmanager
def _forward(model: nn.Module, instead: Callable[..., Any]) -> Iterator[None]:
    """Let the model do something else inside."""
    own = model.__dict__.get("forward")
    model.__dict__["forward"] = instead
    try:
        yield
    finally:
        if own is None:
            del model.__dict__["forward"]
        else:
            model.__dict__["forward"] = own
