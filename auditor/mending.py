"""Mended targets: the same factories, wrapped. Nothing that the user owns is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from auditor.recorder import Instead, watching
from auditor.target import ComputeLoss, LossResult, Target


def with_model(target: Target, change: Callable[[nn.Module], None]) -> Target:
    """Return a target whose fresh models are changed in place before the optimizer is built."""
    def make_model() -> nn.Module:
        model = target.make_model()
        change(model)
        return model

    return replace(target, make_model=make_model)


def with_optimizer(
    target: Target, change: Callable[[Optimizer, nn.Module], None],
) -> Target:
    """Return a target whose fresh optimizers are changed in place."""
    def make_optimizer(model: nn.Module) -> Optimizer:
        optimizer = target.make_optimizer(model)
        change(optimizer, model)
        return optimizer

    return replace(target, make_optimizer=make_optimizer)


def with_calls(target: Target, instead: Instead) -> Target:
    """Return a target in whose forward and loss some torch functions are others.

    Args:
        target: As it is.
        instead: Gives, for the subject and the function of a call, what is called in its place;
            None for the function itself.
    """
    return replace(target, compute=_OtherCalls(target.compute, instead))


def with_batches(target: Target, change: Callable[[Any], Any]) -> Target:
    """Return a target whose batches, for training and validation, are changed."""
    make_val = target.make_val_loader
    return replace(
        target,
        make_train_loader=lambda: Changed(target.make_train_loader(), change),
        make_val_loader=(lambda: Changed(make_val(), change)) if make_val else None,
    )


def set_rate(group: dict[str, Any], lr: float) -> None:
    """Set the rate of a parameter group, also where it is a tensor or a schedule's start."""
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(lr)
    else:
        group["lr"] = lr
    if "initial_lr" in group:
        group["initial_lr"] = lr


class Changed:
    """A loader whose batches are changed on their way.

    Attributes:
        loader: Of the user.
    """

    def __init__(self, loader: Iterable[Any], change: Callable[[Any], Any]) -> None:
        self.loader = loader
        self._change = change

    def __iter__(self) -> Iterator[Any]:
        return map(self._change, self.loader)

    def __getattr__(self, name: str) -> Any:
        # Probes ask a loader for its dataset, sampler and batch size.
        return getattr(self.__dict__["loader"], name)


@dataclass(frozen=True)
class _OtherCalls:
    """Forward and loss with some functions exchanged."""

    compute: ComputeLoss
    instead: Instead

    def __call__(self, model: nn.Module, batch: Any) -> LossResult:
        """Return the loss of one batch."""
        with watching(model, instead=self.instead):
            return self.compute(model, batch)
