"""A short, seeded training run of a fresh copy of the target under stated changes.

Everything here runs inside `isolation.seeded`, so that the user's random state is untouched.
Divergence is an outcome, not an error.
"""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from auditor import batches as batch_tools
from auditor import worktime
from auditor.errors import TargetError
from auditor.failure import explain_failure
from auditor.heap import HEAP
from auditor.isolation import seeded
from auditor.models import uncompiled
from auditor.modes import set_dropout
from auditor.schedule import Schedule, schedule_of
from auditor.snapshot import Snapshot
from auditor.target import ComputeLoss, LossResult, Target
from auditor.usercode import user_code

Outcome: TypeAlias = Literal["finished", "diverged", "out-of-time"]
STEP_SECONDS = 60.0


@dataclass(frozen=True)
class Changes:
    """What a trial does otherwise than the user's own set-up.

    Attributes:
        lr: Rate of the first parameter group; the other groups keep their ratio to it.
        lr_factor: Multiplies all rates; used when `lr` is None.
        weight_decay: For all groups.
        dropout: Probability for all dropout modules; 0 switches them off.
        clip_norm: Largest total gradient norm.
        warmup_steps: Linear warm-up; None keeps the user's own (shortened to the trial).
        prepare: Changes the fresh model before the optimizer is built (remedies).
        compute: Another forward and loss.
        batch: Changes every batch (for example standardises it).
    """

    lr: float | None = None
    lr_factor: float = 1.0
    weight_decay: float | None = None
    dropout: float | None = None
    clip_norm: float | None = None
    warmup_steps: int | None = None
    prepare: Callable[[nn.Module], None] | None = None
    compute: ComputeLoss | None = None
    batch: Callable[[Any], Any] | None = None


@dataclass
class TrialResult:
    """What a short run did.

    Attributes:
        outcome: Diverged means that a loss or a weight became non-finite.
        losses: One value per step, as the loss was before the step's update.
        seconds: Wall time of the steps.
    """

    outcome: Outcome = "finished"
    losses: list[float] = field(default_factory=list)
    seconds: float = 0.0


class Bench:
    """A fresh model with its optimizer, ready to take steps. Make it inside `seeded(seed)`.

    Attributes:
        model: In the modes in which the user's code leaves it.
        optimizer: Of the user, over this model's parameters.
        base_lrs: Rate of each group at the user's peak (with the changes applied).
        steps: Taken so far.
    """

    def __init__(self, target: Target, changes: Changes | None = None) -> None:
        _import_all_of_optim()
        self.target = target
        self.changes = changes or Changes()
        with user_code("making the model"):
            self.model = uncompiled(target.make_model()).to(target.device)
        if _differs_in_train(self.model) or (
                "from_pretrained" in target.traits and not self.model.training):
            # Every training loop calls train(). Hugging Face hands out models in eval mode, and
            # a `train` of their own keeps some modules as they are (frozen statistics).
            with user_code("calling the model's train()"):
                self.model.train()
        if self.changes.prepare is not None:
            self.changes.prepare(self.model)
        if self.changes.dropout is not None:
            set_dropout(self.model, self.changes.dropout)
        with user_code("making the optimizer"):
            self.optimizer: Optimizer = target.make_optimizer(self.model)
        self._parameters = list(self.model.parameters())
        self.schedule: Schedule = schedule_of(target, self.optimizer)
        self.base_lrs = self._rates()
        self.steps = 0
        self.compute: ComputeLoss = self.changes.compute or target.compute
        self._needs_closure = _needs_closure(self.optimizer)
        if self.changes.weight_decay is not None:
            for group in self.optimizer.param_groups:
                group["weight_decay"] = self.changes.weight_decay

    def loss(self, batch: Any) -> LossResult:
        """Run forward and loss on one batch.

        Raises:
            TargetError: The user's code failed.
        """
        # The last step's activations are gone by now.
        HEAP.tidy()
        if self.changes.batch is not None:
            batch = self.changes.batch(batch)
        try:
            with self.target.surroundings(), user_code(
                    worktime.FORWARD, seconds=STEP_SECONDS):
                return self.compute(self.model, batch)
        except TargetError as problem:
            explain_failure(problem, self.target, self.model, batch)
            raise

    def step(self, batch: Any, *, after_backward: Callable[[], None] | None = None) -> float:
        """Take one optimizer step and return the loss before it (NaN and inf are legal)."""
        self.set_rates()
        if self._needs_closure:
            value = self._closure_step(batch, after_backward)
        else:
            with user_code(worktime.UPDATE):
                self.optimizer.zero_grad(set_to_none=True)
            value = self.backward(batch)
            if after_backward is not None:
                after_backward()
            self._clip()
            with user_code(worktime.UPDATE):
                self.optimizer.step()
        self.steps += 1
        return value

    def backward(self, batch: Any) -> float:
        """Run forward and backward, leaving gradients in place, and return the loss."""
        had_gradients = self._has_gradients()
        loss = self.loss(batch).loss
        # Some training steps call backward themselves; their graph is gone.
        is_done = self._has_gradients() and not had_gradients
        if loss.requires_grad and not is_done:
            with user_code(worktime.BACKWARD, seconds=STEP_SECONDS):
                loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    def set_rates(self) -> None:
        """Set every group's rate for the next step: the base rate, less during warm-up."""
        factor = self.schedule.warmup_factor(self.steps, self.changes.warmup_steps)
        for group, lr in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(lr * factor)
            else:
                group["lr"] = lr * factor

    def set_lr(self, lr: float) -> None:
        """Set the first group's base rate; the others keep their ratio to it."""
        first = self.base_lrs[0]
        self.base_lrs = [lr * (rate / first if first else 1.0) for rate in self.base_lrs]

    @property
    def lr(self) -> float:
        """The first group's base rate."""
        return self.base_lrs[0]

    def snapshot(self) -> Snapshot:
        """Copy the state, to return to it with `restore`."""
        return Snapshot.of(self.model, self.optimizer, self.steps)

    def restore(self, snapshot: Snapshot, *, rng: bool = True) -> None:
        """Return to a snapshot, bit for bit (the global generators too unless `rng` is off)."""
        snapshot.put_back(self.model, self.optimizer)
        self.steps = snapshot.steps
        if rng:
            snapshot.generators.apply()

    def _rates(self) -> list[float]:
        rates = self.schedule.peak_rates
        if self.changes.lr is not None:
            first = rates[0]
            return [self.changes.lr * (rate / first if first else 1.0) for rate in rates]
        return [rate * self.changes.lr_factor for rate in rates]

    def _has_gradients(self) -> bool:
        # Walking through the modules on each step takes as long as a small layer.
        parameters = self._parameters or self.model.parameters()
        return any(parameter.grad is not None for parameter in parameters)

    def _clip(self) -> None:
        if self.changes.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.changes.clip_norm)

    def _closure_step(self, batch: Any, after_backward: Callable[[], None] | None) -> float:
        """Step an optimizer that evaluates the loss itself, perhaps several times (LBFGS, SAM)."""
        values: list[float] = []

        def closure() -> Tensor:
            self.optimizer.zero_grad(set_to_none=True)
            with torch.enable_grad():
                values.append(self.backward(batch_tools.private(batch)))
            if after_backward is not None and len(values) == 1:
                after_backward()
            self._clip()
            return torch.tensor(values[-1])

        if _steps_twice(self.optimizer):
            closure()
        with user_code(worktime.UPDATE):
            self.optimizer.step(closure)  # type: ignore[arg-type]
        return values[0]


def run(
    bench: Bench,
    stream: Iterable[Any],
    *,
    deadline: float = math.inf,
    stop: Callable[[Sequence[float]], bool] | None = None,
) -> TrialResult:
    """Take a step on every batch of the stream.

    Args:
        bench: Made inside `seeded`, which is still open.
        stream: Private batches, as `BatchStore.cycled` yields them.
        deadline: `time.monotonic()` after which no step begins.
        stop: Looks at the losses so far and says that the answer is clear.

    Raises:
        TargetError: The user's code failed.
    """
    result = TrialResult()
    begin = time.perf_counter()
    for batch in stream:
        if time.monotonic() > deadline:
            result.outcome = "out-of-time"
            break
        result.losses.append(bench.step(batch))
        if not math.isfinite(result.losses[-1]):
            result.outcome = "diverged"
            break
        if stop is not None and stop(result.losses):
            break
    result.seconds = time.perf_counter() - begin
    return result


def fresh_run(
    target: Target, stream: Iterable[Any], *, seed: int, changes: Changes | None = None,
    deadline: float = math.inf,
) -> TrialResult:
    """Run a fresh seeded copy over the stream; nothing outside is changed."""
    with seeded(seed):
        return run(Bench(target, changes), stream, deadline=deadline)


@lru_cache(maxsize=1)
def _import_all_of_optim() -> None:
    """Make an optimizer of nothing: the first one of a process imports torch's compiler.

    The frames in which it does so are never let go of, and with them the model and the state of
    its optimizer.
    """
    torch.optim.SGD([torch.zeros(1)])


def _differs_in_train(model: nn.Module) -> bool:
    """Tell whether a model that is in training mode changes when its own `train` is called."""
    return model.training and any(
        type(module).train is not nn.Module.train for module in model.modules())


def _steps_twice(optimizer: Optimizer) -> bool:
    """Tell whether an optimizer (SAM) begins with gradients, and asks for others on its way."""
    return hasattr(optimizer, "first_step") and hasattr(optimizer, "second_step")


def _needs_closure(optimizer: Optimizer) -> bool:
    if _steps_twice(optimizer):
        return True
    closure = inspect.signature(type(optimizer).step).parameters.get("closure")
    return closure is not None and closure.default is inspect.Parameter.empty
