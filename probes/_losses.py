"""The loss calls of a few training batches, with what made their inputs and their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from auditor import batches, functions
from auditor.errors import TargetError
from auditor.functions import NODE_ACTIVATIONS, Activation
from auditor.losscall import LossCall, LossCalls, final_activation
from auditor.recorder import Call, watching
from auditor.trial import Bench

from ._by_hand import ByHand

_SHAPE_NODES = ("View", "Unsafe", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "TBackward",
                "Permute", "ToCopy", "Clone", "Alias", "Contiguous", "Expand")


class Bounds(NamedTuple):
    """The range that the last operation of a loss's input can reach.

    Attributes:
        by: The operation, as users call it.
        low: Smallest value.
        high: Largest value.
    """

    by: str
    low: float
    high: float


@dataclass(slots=True)
class SeenLoss:
    """One loss call and its surroundings.

    Attributes:
        call: Input, target and settings.
        bounds: Of its input; None where nothing limits it.
        earlier: The activation before a final log-softmax.
        unclamped: What the input was before it was clamped to probabilities; None where it was not.
        trained: The input has a graph.
        batch: Position of the batch.
        gradient: With respect to the input; None where backward has not been called.
    """

    call: LossCall
    bounds: Bounds | None
    earlier: Activation | None
    unclamped: Tensor | None
    trained: bool
    batch: int
    gradient: Tensor | None = None


@dataclass
class LossListener:
    """Listens for loss calls, keeping their live inputs until the end of a batch.

    Attributes:
        seen: The calls, in their order.
        losses: The user's whole loss of each batch.
        batch: Position of the present one.
    """

    seen: list[SeenLoss] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    batch: int = 0
    _calls: LossCalls = field(default_factory=LossCalls)
    _live: list[tuple[SeenLoss, Tensor]] = field(default_factory=list)

    def begin_pass(self) -> None:
        """Pass on that a pass begins."""
        self._calls.begin_pass()

    def end_pass(self) -> None:
        """Pass on that it ends."""
        self._calls.end_pass()

    def on_answer(self, output: Any) -> None:
        """Pass on what the model puts out."""
        self._calls.on_answer(output)

    def on_module(self, call: Call) -> None:
        """Losses are functions."""

    def on_function(self, call: Call) -> None:
        """Keep one loss call."""
        count = len(self._calls.calls)
        self._calls.on_function(call)
        if len(self._calls.calls) == count:
            return
        live = self._calls.live
        assert live is not None
        self.seen.append(SeenLoss(self._calls.calls[-1], bounds_of(live),
                                  _before_log_softmax(live), _unclamped(live),
                                  live.requires_grad, self.batch))
        self._live.append((self.seen[-1], live))
        if live.requires_grad and not live.is_leaf:
            live.retain_grad()

    def end_batch(self) -> None:
        """Keep the gradients and let go of the graphs."""
        for seen, live in self._live:
            seen.gradient = live.grad
        self._live.clear()


def watch_losses(
    bench: Bench, stored: Sequence[Any], *, backward: bool = False, by_hand: ByHand | None = None,
) -> LossListener:
    """Return the loss calls of some batches; a loss that refuses its arguments is kept too.

    Args:
        bench: Is not trained.
        stored: The batches.
        backward: Call it, for the gradients of the losses' inputs.
        by_hand: Is told of every pass.

    Raises:
        TargetError: The user's code failed for another reason.
    """
    listener = LossListener()
    for index, batch in enumerate(stored):
        listener.batch = index
        try:
            _watch(bench, batch, listener, backward, by_hand)
        except TargetError:
            if not any(seen.call.raised for seen in listener.seen):
                raise
            break
        finally:
            listener.end_batch()
    bench.optimizer.zero_grad(set_to_none=True)
    return listener


def _watch(
    bench: Bench, batch: Any, listener: LossListener, backward: bool, by_hand: ByHand | None,
) -> None:
    with watching(bench.model, listener, *([by_hand] if by_hand else [])):
        loss = bench.loss(batches.private(batch)).loss
    listener.losses.append(float(loss.detach()))
    if by_hand:
        by_hand.end_pass(loss)
    if backward and loss.requires_grad:
        loss.backward()  # type: ignore[no-untyped-call]


def bounds_of(tensor: Tensor) -> Bounds | None:
    """Return the range of the activation or clamp that made a tensor, if that is its last step."""
    activation = final_activation(tensor)
    if activation is not None:
        limited = activation.low > -torch.inf or activation.high < torch.inf
        return Bounds(activation.name, activation.low, activation.high) if limited else None
    node = _first_real(tensor.grad_fn)
    if node is None or not node.name().startswith("Clamp"):
        return None
    low, high = (getattr(node, f"_saved_{end}", None) for end in ("min", "max"))
    if isinstance(low, Tensor) or isinstance(high, Tensor):
        return None
    return Bounds("clamp", -torch.inf if low is None else float(low),
                  torch.inf if high is None else float(high))


def _first_real(node: Any) -> Any:
    while node is not None and node.name().startswith(_SHAPE_NODES):
        parents = [parent for parent, _ in node.next_functions if parent is not None]
        node = parents[0] if len(parents) == 1 else None
    return node


def _unclamped(tensor: Tensor) -> Tensor | None:
    """Return what a clamp to probabilities, the last step, took."""
    bounds = bounds_of(tensor)
    if bounds is None or bounds.by != "clamp" or not 0 <= bounds.low < bounds.high <= 1:
        return None
    try:
        taken = getattr(_first_real(tensor.grad_fn), "_saved_self", None)
    except RuntimeError:
        # A backward pass has freed it, or it was changed in place.
        return None
    return taken.detach() if isinstance(taken, Tensor) else None


def _before_log_softmax(tensor: Tensor) -> Activation | None:
    """Return the activation whose output a final log-softmax took."""
    node = _first_real(tensor.grad_fn)
    if node is None or NODE_ACTIVATIONS.get(node.name()) is not functions.LOG_SOFTMAX:
        return None
    node = _first_real(node.next_functions[0][0])
    return NODE_ACTIVATIONS.get(node.name()) if node is not None else None
