"""Records training steps: activations in the forward pass, gradients and updates around the update.

Meant for every step: it costs a few per cent of one (`docs/performance.md`). In a loop of one's
own:

    recorder = StepRecorder(model)
    for x, y in loader:
        with recorder.forward(len(x)):
            loss = loss_fn(model(x), y)
        recorder.after_forward(loss)
        optimizer.zero_grad()
        loss.backward()
        recorder.before_update()
        optimizer.step()
        recorder.after_update()

Without `after_forward` every pass is watched call by call, which costs more.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from torch import Tensor, nn

from auditor.activity import ActivationStatistics
from auditor.functionwatcher import FunctionWatcher, Told
from auditor.graphreader import Function, GraphReader
from auditor.parametertrack import ParameterTrack
from auditor.recorder import Listener, Watcher
from auditor.target import ComputeLoss, LossResult

# Every so many passes the units that fire are looked at.
_PEAKS_EVERY = 4


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
        self._hooked = Watcher(model, (self.activations, *others))
        self._passes = 0
        self._graph = GraphReader()
        self._reads = self._may_learn = False
        self._light: FunctionWatcher | None = None
        if not others:
            self._light = FunctionWatcher(model, self.activations.listens_to,
                                          _taker(self.activations, self._graph))

    def forward(self, batch_size: int) -> AbstractContextManager[Any]:
        """Return what records the forward pass, and the loss, that run inside.

        Code that `torch.compile` would compile has to run eagerly (`isolation.eagerly`), as it
        does in an audit.
        """
        activations = self.activations
        activations.batch_size = batch_size
        activations.turn += 1
        # The first pass, and the one after something new has come up, see where units lie.
        activations.layouts = activations.unplaced or self._light is None
        activations.peaks = activations.layouts or self._passes % _PEAKS_EVERY == 0
        self._passes += 1
        hooked = activations.layouts or self._light is None
        self._reads = self._graph.is_ready and not hooked
        if self._reads:
            return nullcontext()
        self._graph.begin(notes=self._may_learn and not hooked)
        return self._with_hooks() if hooked or self._light is None else self._light

    def after_forward(self, loss: Tensor) -> None:
        """Take the activations of a pass that need not be watched, before its backward pass.

        Args:
            loss: Scalar with the graph of the pass.
        """
        if self._reads:
            for kept, tensor in self._graph.read(loss):
                self.activations.take(kept.name, kept.function, (), tensor, kept.rest)
            return
        self._graph.learn(loss)
        # What reaches an activation is not looked for in the graph.
        self._may_learn = self._light is not None and not self.activations.asks_for_inputs

    @contextmanager
    def _with_hooks(self) -> Iterator[None]:
        self.activations.unplaced = False
        with self._hooked.attached():
            yield
        # What has been seen to vary over samples need not be looked at again.
        self.activations.settle()

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
                result = compute(model, batch)
            self.after_forward(result.loss)
            return result

        return recorded

    def before_update(self) -> None:
        """Take the gradients, between the backward pass and the optimizer's step."""
        self.parameters.before_update()

    def after_update(self) -> None:
        """Take the updates, after the optimizer's step."""
        self.parameters.after_update()


def _taker(
    activations: ActivationStatistics, graph: GraphReader,
) -> Told:
    """Return what takes an output from a watched pass; no method, so that no cycle holds it."""

    def take(
        name: str, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any,
    ) -> None:
        activations.take(name, function, args, output)
        graph.note(name, function, args, kwargs, output)

    return take
