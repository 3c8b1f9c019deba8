"""Exchanging activations, whether they are modules or calls in `forward`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from auditor import functions
from auditor.losscall import maker
from auditor.mending import with_calls, with_model
from auditor.recorder import Call, tensors_in, watching
from auditor.remedy import CannotMend, Case
from auditor.target import Target
from auditor.trial import Bench

Function: TypeAlias = Callable[..., Any]


def exchanged(target: Target, new: Mapping[str, Callable[[], nn.Module]]) -> Target:
    """Return the target with other activations.

    Args:
        target: As it is.
        new: Subject of the activation, as the recorder names it -> makes the module to use.
    """
    modules = dict(new)

    def change(model: nn.Module) -> None:
        for path, make in modules.items():
            if ":" not in path and path:
                put_in_place(model, path, make())

    calls: dict[str, Function] = {
        subject: _as_function(make()) for subject, make in modules.items()}

    def instead(subject: str, function: Function) -> Function | None:
        return calls.get(subject) if function in functions.ACTIVATIONS else None

    return with_calls(with_model(target, change), instead)


class Final(NamedTuple):
    """The activation that makes the loss's input.

    Attributes:
        subject: As the recorder names the call.
        name: Of the function.
        loss: The loss function that gets its output; empty for a loss that is written by hand.
    """

    subject: str
    name: str
    loss: str


def final_activation(case: Case) -> Final:
    """Return the activation that makes the loss's input.

    Raises:
        CannotMend: No loss was seen, or no activation stands before it.
    """
    def see(bench: Bench, batch: Any) -> Final | None:
        last = _LastActivation()
        with watching(bench.model, last):
            bench.compute(bench.model, batch)
        return last.found

    found: Final | None = case.look(see)
    if found is None:
        raise CannotMend("the call that makes the last activation was not seen")
    return found


class _LastActivation:
    """Listens for the activation call whose output, but for changes of shape, the loss gets.

    A loss that is written by hand begins with an activation outside of the model.

    Attributes:
        found: That call; None until a loss is called.
    """

    def __init__(self) -> None:
        self.found: Final | None = None
        self._made: dict[Any, tuple[str, str]] = {}

    def on_module(self, call: Call) -> None:
        """Modules say nothing that their functions do not."""

    def on_function(self, call: Call) -> None:
        """Remember an activation's node, or look from a loss back to one."""
        assert call.function is not None
        given = list(tensors_in((call.args, call.kwargs)))
        loss, _ = functions.LOSSES.get(call.function, ("", ()))
        activation = functions.ACTIVATIONS.get(call.function)
        node = call.output.grad_fn if isinstance(call.output, Tensor) else None
        if activation is not None and node is not None:
            self._made[node] = call.subject, activation.name
        by_hand = call.is_outside and (activation or call.function in functions.LOGSUMEXPS)
        compares = call.is_outside and call.function in functions.DIFFERENCES
        # A difference behind a loss that was found is a figure for the log.
        if not (loss or by_hand or (compares and self.found is None)):
            return
        for source in given if compares else given[:1]:
            before = maker(source, self._made.__contains__, padded=bool(by_hand))
            if before is not None:
                self.found = Final(*self._made[before], loss)


def put_in_place(model: nn.Module, path: str, new: nn.Module) -> None:
    """Put a module where another one stands, under all of its names."""
    old = model.get_submodule(path)
    for holder in list(model.modules()):
        for name, child in holder.named_children():
            if child is old:
                setattr(holder, name, new) if not isinstance(
                    holder, (nn.Sequential, nn.ModuleList)) else holder.__setitem__(int(name), new)


def _as_function(module: nn.Module) -> Function:
    if isinstance(module, nn.Identity):
        return lambda input, *_, **__: input
    if isinstance(module, nn.LeakyReLU):
        slope = module.negative_slope
        return lambda input, *_, **__: F.leaky_relu(input, slope)
    assert isinstance(module, nn.ReLU)
    return lambda input, *_, **__: F.relu(input)
