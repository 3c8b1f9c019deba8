"""Records training steps: activations in the forward pass, gradients and updates around the update.

Meant for every step: it costs a few per cent of one (`docs/performance.md`). In a loop of one's
own:

    recorder = StepRecorder(model)
    for x, y in loader:
        with recorder.forward(len(x)):
            loss = loss_fn(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        recorder.before_update()
        optimizer.step()
        recorder.after_update()
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from auditor.activity import ActivationStatistics
from auditor.parametertrack import ParameterTrack
from auditor.recorder import Listener, Watcher
from auditor.target import ComputeLoss, LossResult


class StepRecorder:
    """Records what steps do to activations, gradients and weights; it changes none of them.

    Args:
        model: Whose steps are recorded.
        others: Further listeners of the forward pass.

    Attributes:
        activations: Of module and functional activations.
        parameters: Gradients and updates.
    """

    def __init__(
        self, model: nn.Module, *others: Listener,
        activations: ActivationStatistics | None = None, parameters: ParameterTrack | None = None,
    ) -> None:
        self.activations = activations or ActivationStatistics(1)
        self.parameters = parameters or ParameterTrack(model)
        self._watcher = Watcher(model, (self.activations, *others))

    @contextmanager
    def forward(self, batch_size: int) -> Iterator[None]:
        """Record the forward pass, and the loss, that run inside."""
        self.activations.batch_size = batch_size
        with self._watcher.attached():
            yield

    def first_of(self, compute: ComputeLoss, batch_size: int) -> ComputeLoss:
        """Return `compute` with its next call recorded, and none of those after it.

        An optimizer may evaluate the loss several times in one step.
        """
        is_over = False

        def recorded(model: nn.Module, batch: Any) -> LossResult:
            nonlocal is_over
            if is_over:
                return compute(model, batch)
            is_over = True
            with self.forward(batch_size):
                return compute(model, batch)

        return recorded

    def before_update(self) -> None:
        """Take the gradients, between the backward pass and the optimizer's step."""
        self.parameters.before_update()

    def after_update(self) -> bool:
        """Take the updates after the optimizer's step; tell whether all gradients were finite."""
        return self.parameters.after_update()
