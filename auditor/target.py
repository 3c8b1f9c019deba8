"""The user's model, data, loss and optimizer as factories that can be called again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from auditor import batches
from auditor.errors import TargetError
from auditor.observation import Place


class LossResult(NamedTuple):
    """What one forward pass gave.

    Attributes:
        loss: Scalar with a graph.
        output: Whatever the model returned; None when only the user's own step saw it.
    """

    loss: Tensor
    output: Any


class ComputeLoss(Protocol):
    """Forward and loss, as the user's own training does it."""

    def __call__(self, model: nn.Module, batch: Any) -> LossResult:
        """Return the loss of one batch, with its graph."""
        ...


@dataclass(frozen=True)
class Target:
    """What is audited; nothing in here is ever changed by a probe.

    Attributes:
        name: Class name of the model.
        file: Of the user, as it was given.
        make_model: Returns a fresh copy; a new initialisation from the global generators when
            `reinitialises`, else an exact copy of the user's object.
        make_train_loader: Returns something to iterate over.
        compute: Forward and loss.
        kind: "loss" (loss_fn(output, target)), "step" (the user's training step), "model" (the
            model's output holds the loss).
        make_optimizer: Builds the optimizer for a model that `make_model` made.
        make_val_loader: Like `make_train_loader`; None when there is no validation data.
        make_scheduler: Builds the schedule for an optimizer; None when there is none.
        loss_fn: The user's loss object or function, for kind "loss".
        reinitialises: Whether `make_model` draws new weights.
        optimizer_given: False when AdamW(1e-3) stands in.
        device: Where trials run.
        places: Layer path -> line of the user's file that makes it.
        optimizer_place: Line that makes the optimizer; likewise loader, loss and model.
        names: Role ("model", "train_loader", "loss", "optimizer", ...) -> the user's own name.
        notes: Sentences for the report.
        traits: Further facts for probes ("lightning", "huggingface", "from_pretrained").
        surroundings: Opens what the user's code needs of the process while it runs (its folder on
            `sys.path`, its own modules, the defaults it has set); an audit keeps it open.
    """

    name: str
    file: str
    make_model: Callable[[], nn.Module]
    make_train_loader: Callable[[], Iterable[Any]]
    compute: ComputeLoss
    kind: str
    make_optimizer: Callable[[nn.Module], Optimizer]
    make_val_loader: Callable[[], Iterable[Any]] | None = None
    make_scheduler: Callable[[Optimizer], Any] | None = None
    loss_fn: Any = None
    reinitialises: bool = True
    optimizer_given: bool = True
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    places: Mapping[str, Place] = field(default_factory=dict)
    optimizer_place: Place | None = None
    loader_place: Place | None = None
    val_loader_place: Place | None = None
    loss_place: Place | None = None
    model_place: Place | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    traits: frozenset[str] = frozenset()
    surroundings: Callable[[], AbstractContextManager[None]] = nullcontext


@dataclass(frozen=True)
class WithLossFunction:
    """`loss_fn(model(*inputs), target)`."""

    loss_fn: Callable[[Any, Any], Tensor]

    def __call__(self, model: nn.Module, batch: Any) -> LossResult:
        """Return the loss of one batch.

        Raises:
            TargetError: The batch holds no target.
        """
        parts = batches.split(batch)
        if parts.target is None:
            raise TargetError(
                "The batches hold no target that the loss could compare the output with.",
                hint="Write `training_step(model, batch)`, which returns the loss.",
            )
        output = model(*parts.args, **parts.kwargs)
        return LossResult(as_loss(self.loss_fn(_plain(output), parts.target)), output)


@dataclass(frozen=True)
class WithTrainingStep:
    """The user's `training_step(model, batch)`."""

    step: Callable[[nn.Module, Any], Any]

    def __call__(self, model: nn.Module, batch: Any) -> LossResult:
        """Return the loss of one batch; `output` is what the step returned beside it."""
        result = self.step(model, batch)
        return LossResult(as_loss(loss_in(result)), result)


@dataclass(frozen=True)
class WithModelLoss:
    """A model whose output holds the loss: called with the batch's items as keywords."""

    def __call__(self, model: nn.Module, batch: Any) -> LossResult:
        """Return the loss of one batch."""
        output = model(**batch) if isinstance(batch, Mapping) else model(*_as_tuple(batch))
        return LossResult(as_loss(loss_in(output)), output)


def loss_in(result: Any) -> Any:
    """Return the loss in what a step or a model gave: itself, `["loss"]`, `.loss` or item 0."""
    if isinstance(result, Mapping) and "loss" in result:
        return result["loss"]
    if getattr(result, "loss", None) is not None:
        return result.loss
    if isinstance(result, (tuple, list)) and result and isinstance(result[0], Tensor):
        return result[0]
    return result


def as_loss(value: Any) -> Tensor:
    """Return a scalar loss.

    Raises:
        TargetError: It is no tensor, or holds several values.
    """
    if not isinstance(value, Tensor):
        raise TargetError(
            f"The loss is a {type(value).__name__}, not a tensor.",
            hint="Return the loss tensor itself, not its value (no .item()).",
        )
    if value.numel() != 1:
        raise TargetError(
            f"The loss is no scalar: its shape is {tuple(value.shape)}.",
            hint="Use reduction='mean', or average it before it is returned.",
        )
    return value.reshape(())


def _plain(output: Any) -> Any:
    """Return the logits of a Hugging Face output when a plain loss function is to be called."""
    logits = getattr(output, "logits", None)
    return logits if isinstance(logits, Tensor) else output


def _as_tuple(batch: Any) -> tuple[Any, ...]:
    return tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)
