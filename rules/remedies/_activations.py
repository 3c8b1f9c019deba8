"""Exchanging activations, whether they are modules or calls in `forward`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from auditor import functions
from auditor.losscall import LossCall, LossCalls, is_transparent
from auditor.mending import with_calls, with_model
from auditor.recorder import Call, watching
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


def final_activation(case: Case) -> tuple[str, LossCall]:
    """Return the subject of the activation that makes the loss's input, and the loss call.

    Raises:
        CannotMend: No known loss was called, or no activation stands before it.
    """
    def see(bench: Bench, batch: Any) -> tuple[str, LossCall] | None:
        calls, last = LossCalls(), _LastActivation()
        with watching(bench.model, last, calls):
            bench.compute(bench.model, batch)
        return (last.subject, calls.calls[-1]) if last.subject and calls.calls else None

    found: tuple[str, LossCall] | None = case.look(see)
    if found is None:
        raise CannotMend("the call that makes the last activation was not seen")
    return found


class _LastActivation:
    """Listens for the activation call whose output, but for changes of shape, the loss gets.

    Attributes:
        subject: Of that call; empty until a loss is called.
    """

    def __init__(self) -> None:
        self.subject = ""
        self._made: dict[Any, str] = {}

    def on_module(self, call: Call) -> None:
        """Modules say nothing that their functions do not."""

    def on_function(self, call: Call) -> None:
        """Remember an activation's node, or look from a loss back to one."""
        if call.function in functions.ACTIVATIONS and isinstance(call.output, Tensor):
            self._made[call.output.grad_fn] = call.subject
        elif call.function in functions.LOSSES and call.args and isinstance(call.args[0], Tensor):
            self.subject = self._behind(call.args[0])

    def _behind(self, tensor: Tensor) -> str:
        node: Any = tensor.grad_fn
        while node is not None and node not in self._made:
            parents = [parent for parent, _ in node.next_functions if parent is not None]
            node = parents[0] if is_transparent(node) and len(parents) == 1 else None
        return self._made.get(node, "")


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
